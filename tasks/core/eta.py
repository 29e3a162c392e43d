"""How fast a batch goes and when it will have come to its end: from what ended lately, and from the limits. Pure.

The first estimate is the plan's, by limit and typical call. As images end it gives way to what is measured: wholly
when ten have ended over some calls' time. What waits for a person is not waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasks.core.cost import SECONDS_PER_DAY, images_per_second
from tasks.core.limits import LimitState
from tasks.core.outages import Outage
from tasks.core.states import ACTIVE, ENDED, State, add_up

LATELY_SECONDS = 60.0
"""How far back the pace is measured."""

_ENOUGH_ENDED = 10
_SHORTEST_SPAN_SECONDS = 10.0
_SHORTEST_ETA_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Recent:
    """Images of one model that came to an end in the last minute; ``span_seconds`` ago the first of them did."""

    ended: int = 0
    span_seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Their pace. The fewer they are, the longer is the least time that they are taken to stand for."""
        few = max(0.0, 1 - self.ended / _ENOUGH_ENDED)
        least_seconds = _SHORTEST_SPAN_SECONDS + few * (LATELY_SECONDS - _SHORTEST_SPAN_SECONDS)
        return self.ended / max(self.span_seconds, least_seconds)


@dataclass(frozen=True, slots=True)
class ModelProgress:
    """One model's part of a batch. ``typical_seconds`` of a call; ``concurrency`` as for a plan: one worker's calls."""

    model: str
    counts: Mapping[State, int]
    recent: Recent
    limit: LimitState
    typical_seconds: float
    concurrency: int

    @property
    def done(self) -> int:
        """Images that have come to an end, a good one or not."""
        return self._sum(ENDED)

    @property
    def left(self) -> int:
        """Images that are under way."""
        return self._sum(ACTIVE)

    @property
    def pace_per_minute(self) -> float:
        """Images that ended, in the last minute."""
        return 60 * self.recent.per_second

    @property
    def eta_seconds(self) -> float | None:
        """Time until nothing is under way, 0 when nothing is; ``None`` when nobody can know."""
        if not self.left:
            return 0.0
        per_second = self._expected_per_second()
        if self._never_sent() or not per_second:
            return None
        unstarted = self._sum((State.PLANNED, State.QUEUED))
        # The last call starts when those before it have started; then it takes as long as a call takes.
        last_start = self.limit.paused_seconds + unstarted / per_second if unstarted else 0.0
        last_call = self.typical_seconds if unstarted or self.counts.get(State.GENERATING) else 0.0
        days = _days_seconds(unstarted, self.limit)
        return max(last_start + last_call, self.left / per_second, days, _SHORTEST_ETA_SECONDS)

    def _never_sent(self) -> bool:
        """Whether no worker has been there: how long a batch waits for one is not in the numbers."""
        return self.left == self.counts.get(State.PLANNED) and not self.recent.ended and not self.limit.paused_seconds

    def _expected_per_second(self) -> float:
        """The measured pace as far as it can be trusted, and the limits' for the rest."""
        limit, recent = self.limit, self.recent
        by_limits = images_per_second(
            limit.in_force_per_minute, limit.in_flight, self.typical_seconds, self.concurrency
        )
        if limit.paused_seconds:
            return by_limits
        settled_seconds = min(LATELY_SECONDS, _SHORTEST_SPAN_SECONDS + 2 * self.typical_seconds)
        trust = min(1.0, recent.span_seconds / settled_seconds, recent.ended / _ENOUGH_ENDED)
        return (1 - trust) * by_limits + trust * recent.per_second

    def _sum(self, states: Iterable[State]) -> int:
        return sum(self.counts.get(state, 0) for state in states)


def _days_seconds(unstarted: int, limit: LimitState) -> float:
    """What a limit per day adds: a whole day for each that is begun when today's rest is used up."""
    if limit.per_day is None:
        return 0.0
    beyond_today = unstarted - max(0, limit.per_day - limit.started_today)
    return max(0, -(-beyond_today // limit.per_day)) * SECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """A batch, model by model; ``outages``: destinations to which delivery is held."""

    models: tuple[ModelProgress, ...]
    outages: tuple[Outage, ...] = ()

    @property
    def counts(self) -> dict[State, int]:
        """All models together; states without images are left out."""
        return add_up(model.counts for model in self.models)

    @property
    def pace_per_minute(self) -> float:
        """All models together."""
        return sum(model.pace_per_minute for model in self.models)

    @property
    def eta_seconds(self) -> float | None:
        """Models work side by side, so the slowest counts; ``None`` when one of them may take any time."""
        etas = [model.eta_seconds for model in self.models]
        known = [eta for eta in etas if eta is not None]
        return max(known, default=0.0) if len(known) == len(etas) else None
