"""One run: start everything, do what the schedule says as the batch makes progress, wait for its end, compare books."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.ledger.holding import resume
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
        all_kinds = schedule(self.seed, self.images, self.kills, self.workers)
        return [event for event in all_kinds if event.kind in self.kinds]

    @property
    def lost_slots(self) -> int:
        """How many calls in flight the killed workers, and those that were taken for dead, can have had."""
        strikes = {**dict.fromkeys((Kind.KILL, Kind.FREEZE), 1), Kind.KILL_ALL: self.workers}
        return sum(strikes.get(event.kind, 0) for event in self.events) * CONCURRENCY

    @property
    def ample_usd_micros(self) -> int:
        """A little more than the batch can need: the lost calls once more, and a tenth for bad answers."""
        return (self.images + self.images // 10 + 5 + self.lost_slots) * PRICE_USD_MICROS

    @property
    def budget_usd_micros(self) -> int:
        """What the batch begins with."""
        if self.budget_share is None:
            return self.ample_usd_micros
        return round(self.images * self.budget_share) * PRICE_USD_MICROS


@dataclass(frozen=True)
class Result:
    """What a run has come to: the books at each rest of the batch, the last ones at its end."""

    plan: Plan
    rests: Sequence[Books]
    seconds: float
    copies: int
    own_deaths: Sequence[str]

    @property
    def books(self) -> Books:
        """Those of the end."""
        return self.rests[-1]

    @property
    def findings(self) -> list[Finding]:
        """What is wrong; nothing when every gate holds."""
        return [finding for books in self.rests for finding in check(books)]


def run(plan: Plan, folder: Path, say: Say = lambda _words: None) -> Result:
    """Carry a batch through the schedule, in ``folder``, and collect everybody's books."""
    with Installation(folder, plan.seed, rows(plan.images), plan.database_url) as made:
        batch_id = made.submit_rows(plan.budget_usd_micros)
        crew = Crew(made, plan.workers, plan.worker_options)
        interference = Interference(made, crew, plan.seed, batch_id)
        began = time.monotonic()
        with Sampler(made.services.ledger, batch_id) as sampler:
            made.start(batch_id)
            rests = _Course(plan, made, crew, interference, sampler, batch_id, say).follow()
        seconds = time.monotonic() - began
        interference.wait()
        crew.stop()
        return Result(plan, rests, seconds, interference.copies, crew.own_deaths)


@dataclass
class _Course:
    """The loop that follows a batch to its end."""

    plan: Plan
    made: Installation
    crew: Crew
    interference: Interference
    sampler: Sampler
    batch_id: str
    say: Say

    def follow(self) -> list[Books]:
        """The books of each rest. When the money runs out there is more of it, once."""
        pending, rests = deque(self.plan.events), list[Books]()
        while True:
            stalled = self._until_rest(pending)
            rests.append(self._books(stalled))
            if stalled or self.plan.budget_share is None or len(rests) > 1:
                return [*rests[:-1], replace(rests[-1], missed_events=len(pending))]
            self.say("the money has run out: resumed with more")
            resume(self.made.services.ledger, self.batch_id, self.plan.ample_usd_micros)

    def _until_rest(self, pending: deque[Event]) -> str:
        """Until the batch is summed up, or nothing moves any more: then why, else nothing."""
        seen, since = -1, time.monotonic()
        while self.interference.paused or self.made.summary_of(self.batch_id) is None:
            self.crew.tend()
            published = self.made.published()
            if published != seen or self._let_happen(pending, published):
                seen, since = published, time.monotonic()
            if time.monotonic() - since > self.plan.patience_seconds:
                return stuck(self.made, self.batch_id, self.plan.patience_seconds)
            time.sleep(_LOOK_EVERY_SECONDS)
        return ""

    def _let_happen(self, pending: deque[Event], published: int) -> bool:
        """The next event, if it is due; whether it was."""
        if not pending or pending[0].at > published:
            return False
        event = pending.popleft()
        self.say(str(event))
        self.interference.act(event)
        return True

    def _books(self, stalled: str) -> Books:
        with contextlib.suppress(AssertionError):  # a gate will say so
            # Copies and stale messages, which change nothing any more.
            wait_until(self._is_drained, _DRAIN_SECONDS, "empty queues")
        return replace(
            collect(self.made, self.batch_id),
            samples=list(self.sampler.samples),
            lost_slots=self.plan.lost_slots,
            pauses=self.interference.pauses,
            stalled=stalled,
        )

    def _is_drained(self) -> bool:
        self.crew.tend()
        return not left_in_queues(self.made.redis)
