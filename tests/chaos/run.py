"""One run: start everything, do what the schedule says as the batch makes progress, wait for its end, compare books."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.books import Books, collect, left_in_queues
from tests.chaos.crew import Crew
from tests.chaos.gates import Finding, check
from tests.chaos.installation import CONCURRENCY, Installation, ample_budget_usd_micros, rows
from tests.chaos.interference import Interference
from tests.chaos.sampler import Sampler
from tests.chaos.schedule import Event, Kind, schedule
from tests.chaos.stall import stuck
from tests.waiting import wait_until

_LOOK_EVERY_SECONDS = 0.05
_DRAIN_SECONDS = 20.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a run is asked to be. ``worker_options`` go to ``celery -A tasks worker``.

    Of the schedule only what is of the ``kinds`` happens. A run is stalled when nothing has been published for
    ``patience_seconds``.
    """

    seed: int
    images: int
    kills: int
    workers: int = 2
    database_url: str | None = None
    worker_options: Sequence[str] = ()
    kinds: frozenset[Kind] = frozenset(Kind)
    patience_seconds: float = 60.0

    @property
    def events(self) -> list[Event]:
        """The schedule."""
        all_kinds = schedule(self.seed, self.images, self.kills, self.workers)
        return [event for event in all_kinds if event.kind in self.kinds]


@dataclass
class Result:
    """What a run has come to; ``findings`` is empty when every gate holds."""

    plan: Plan
    findings: list[Finding] = field(default_factory=list)
    books: Books | None = None
    seconds: float = 0.0
    happened: int = 0
    copies: int = 0
    connections_cut: int = 0
    own_deaths: int = 0


def run(plan: Plan, folder: Path, say: Say = lambda _words: None) -> Result:
    """Carry a batch through the schedule, in ``folder``, and compare everybody's books."""
    result = Result(plan)
    with Installation(folder, plan.seed, rows(plan.images), plan.database_url) as made:
        batch_id = made.submit_rows(ample_budget_usd_micros(plan.images, plan.kills, plan.workers))
        crew = Crew(made, plan.workers, plan.worker_options)
        interference = Interference(made, crew, plan.seed)
        began = time.monotonic()
        with Sampler(made.services.ledger, batch_id) as sampler:
            made.start(batch_id)
            stalled = _Course(plan, made, crew, interference, batch_id, say).follow(result)
        result.seconds = time.monotonic() - began
        if stalled is None:
            _drain(made)
        crew.stop()
        result.copies, result.connections_cut, result.own_deaths = interference.copies, made.proxy.cut, crew.own_deaths
        result.books = collect(made, batch_id, sampler.samples, lost_slots(plan))
        result.findings = [*([Finding("it_ends", stalled)] if stalled else []), *check(result.books)]
    return result


def lost_slots(plan: Plan) -> int:
    """How many calls in flight the killed workers, and those that were taken for dead, can have had."""
    strikes = {**dict.fromkeys((Kind.KILL, Kind.FREEZE), 1), Kind.KILL_ALL: plan.workers}
    return sum(strikes.get(event.kind, 0) for event in plan.events) * CONCURRENCY


def _drain(made: Installation) -> None:
    """Let the workers read what is left: copies and stale messages, which change nothing any more."""
    try:
        wait_until(lambda: not left_in_queues(made.redis), _DRAIN_SECONDS, "empty queues")
    except AssertionError:
        return  # a gate will say so


@dataclass
class _Course:
    """The loop that follows a batch."""

    plan: Plan
    made: Installation
    crew: Crew
    interference: Interference
    batch_id: str
    say: Say

    def follow(self, result: Result) -> str | None:
        """Until the batch is summed up: ``None``, or until it stalls: why."""
        pending, seen, since = deque(self.plan.events), -1, time.monotonic()
        while self.made.summary_of(self.batch_id) is None:
            self.crew.tend()
            published = self.made.published()
            if published != seen:
                seen, since = published, time.monotonic()
            if pending and pending[0].at <= published:
                event = pending.popleft()
                self.say(str(event))
                self.interference.act(event)
                result.happened += 1
                since = time.monotonic()
            if time.monotonic() - since > self.plan.patience_seconds:
                return stuck(self.made, self.batch_id, self.plan.patience_seconds)
            time.sleep(_LOOK_EVERY_SECONDS)
        return None
