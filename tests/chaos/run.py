"""One run: start everything, do what the schedule says as the batch makes progress, wait for its end, compare books."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.chaos.books import Books, collect, left_in_queues
from tests.chaos.crew import Crew
from tests.chaos.gates import Finding, check
from tests.chaos.installation import CONCURRENCY, Installation, rows
from tests.chaos.interference import Interference
from tests.chaos.maker import PRICE_USD_MICROS
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

    Of the schedule only what is of the ``kinds`` happens. ``budget_share`` is the part of the pictures that there is
    money for; by default there is more than enough. A run is stalled when nothing has been published for
    ``patience_seconds``.
    """

    seed: int
    images: int
    kills: int
    workers: int = 2
    database_url: str | None = None
    worker_options: Sequence[str] = ()
    kinds: frozenset[Kind] = frozenset(Kind)
    budget_share: float | None = None
    patience_seconds: float = 60.0

    @property
    def events(self) -> list[Event]:
        """The schedule."""
        reachable = round(self.images * (self.budget_share or 1.0))
        all_kinds = schedule(self.seed, reachable, self.kills, self.workers)
        return [event for event in all_kinds if event.kind in self.kinds]

    @property
    def budget_usd_micros(self) -> int:
        """The share that was asked for, or a little more than the batch can need.

        That is every call that a lost worker can have had in flight once more, and a tenth for bad answers.
        """
        if self.budget_share is not None:
            return round(self.images * self.budget_share) * PRICE_USD_MICROS
        return (self.images + self.images // 10 + 5 + lost_slots(self)) * PRICE_USD_MICROS


@dataclass(frozen=True)
class Result:
    """What a run has come to; ``findings`` is empty when every gate holds."""

    plan: Plan
    books: Books
    seconds: float
    copies: int
    connections_cut: int
    own_deaths: Sequence[str]

    @property
    def findings(self) -> list[Finding]:
        """What is wrong."""
        return check(self.books)


def run(plan: Plan, folder: Path, say: Say = lambda _words: None) -> Result:
    """Carry a batch through the schedule, in ``folder``, and collect everybody's books."""
    with Installation(folder, plan.seed, rows(plan.images), plan.database_url) as made:
        batch_id = made.submit_rows(plan.budget_usd_micros)
        crew = Crew(made, plan.workers, plan.worker_options)
        course = _Course(plan, made, crew, batch_id, say)
        began = time.monotonic()
        with Sampler(made.services.ledger, batch_id) as sampler:
            made.start(batch_id)
            course.follow()
        seconds = time.monotonic() - began
        crew.stop()
        return Result(
            plan=plan,
            books=replace(
                collect(made, batch_id),
                samples=sampler.samples,
                lost_slots=lost_slots(plan),
                left_in_queues=course.left_in_queues,
                stalled=course.stalled,
                missed_events=len(course.pending),
            ),
            seconds=seconds,
            copies=course.interference.copies,
            connections_cut=made.proxy.cut,
            own_deaths=crew.own_deaths,
        )


def lost_slots(plan: Plan) -> int:
    """How many calls in flight the killed workers, and those that were taken for dead, can have had."""
    strikes = {**dict.fromkeys((Kind.KILL, Kind.FREEZE), 1), Kind.KILL_ALL: plan.workers}
    return sum(strikes.get(event.kind, 0) for event in plan.events) * CONCURRENCY


class _Course:
    """The loop that follows a batch to its end. ``pending`` is what of the schedule has not happened yet.

    ``stalled`` says why there was no end.
    """

    def __init__(self, plan: Plan, made: Installation, crew: Crew, batch_id: str, say: Say) -> None:
        self._plan, self._made, self._crew, self._batch_id, self._say = plan, made, crew, batch_id, say
        self.interference = Interference(made, crew, plan.seed)
        self.pending = deque(plan.events)
        self.stalled = ""
        self.left_in_queues: dict[str, int] = {}

    def follow(self) -> None:
        """Until the batch is summed up and its last messages have been read, or nothing moves any more."""
        seen, since = -1, time.monotonic()
        while self._made.summary_of(self._batch_id) is None:
            self._crew.tend()
            published = self._made.published()
            if published != seen or self._let_happen(published):
                seen, since = published, time.monotonic()
            if time.monotonic() - since > self._plan.patience_seconds:
                self.stalled = stuck(self._made, self._batch_id, self._plan.patience_seconds)
                return
            time.sleep(_LOOK_EVERY_SECONDS)
        with contextlib.suppress(AssertionError):  # a gate will say so
            # Copies and stale messages, which change nothing any more.
            wait_until(lambda: not left_in_queues(self._made.redis), _DRAIN_SECONDS, "empty queues")
        self.left_in_queues = left_in_queues(self._made.redis)

    def _let_happen(self, published: int) -> bool:
        """The next event, if it is due; whether it was."""
        if not self.pending or self.pending[0].at > published:
            return False
        event = self.pending.popleft()
        self._say(str(event))
        self.interference.act(event)
        return True
