"""How fast a batch goes and when it will have come to its end: from what ended lately, and from the limits. Pure.

The first estimate is the plan's, by limit and typical call. As images end it gives way to what is measured: wholly
when ten have ended over some calls' time. What waits for a person is not waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasks.core.cost import SECONDS_PER_DAY, images_per_second
from tasks.core.limits import LimitState
from tasks.core.states import ACTIVE, ENDED, State

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
        """Their pace. A few say little about less than a minute."""
        if self.ended < _ENOUGH_ENDED:
            return self.ended / LATELY_SECONDS
        return self.ended / max(self.span_seconds, _SHORTEST_SPAN_SECONDS)


@dataclass(frozen=True, slots=True)
class ModelProgress:
    """One model's part of a batch. ``eta_seconds`` is 0 when nothing of it is active, ``None`` when nobody can know."""

    model: str
    counts: Mapping[State, int]
    limit: LimitState
    pace_per_minute: float
    eta_seconds: float | None

    @property
    def done(self) -> int:
        """Images that have come to an end, a good one or not."""
        return _sum(self.counts, ENDED)

    @property
    def left(self) -> int:
        """Images that are under way."""
        return _sum(self.counts, ACTIVE)


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """A batch, model by model. ``pace_per_minute`` counts images that ended, in the last minute."""

    models: tuple[ModelProgress, ...]

    @property
    def pace_per_minute(self) -> float:
        """All models together."""
        return sum(model.pace_per_minute for model in self.models)

    @property
    def eta_seconds(self) -> float | None:
        """Models work side by side: the last one's time; ``None`` when one of them does not move."""
        etas = [model.eta_seconds for model in self.models]
        known = [eta for eta in etas if eta is not None]
        return max(known, default=0.0) if len(known) == len(etas) else None


def batch_progress(
    by_model: Mapping[str, Mapping[State, int]],
    recent: Mapping[str, Recent],
    limits: Mapping[str, LimitState],
    typical_seconds: Mapping[str, float],
    concurrency: int,
) -> BatchProgress:
    """Each model's pace and time. ``concurrency`` is the calls of one worker at once, as for a plan."""
    return BatchProgress(
        tuple(
            ModelProgress(
                model=model,
                counts=counts,
                limit=limits[model],
                pace_per_minute=60 * recent.get(model, Recent()).per_second,
                eta_seconds=_eta_seconds(
                    counts, recent.get(model, Recent()), limits[model], typical_seconds[model], concurrency
                ),
            )
            for model, counts in by_model.items()
        )
    )


def _eta_seconds(
    counts: Mapping[State, int], recent: Recent, limit: LimitState, typical_seconds: float, concurrency: int
) -> float | None:
    left = _sum(counts, ACTIVE)
    if not left:
        return 0.0
    if left == counts.get(State.PLANNED) and not recent.ended and not limit.paused_seconds:
        return None  # nothing has been sent: no worker has been there yet
    unstarted = _sum(counts, (State.PLANNED, State.QUEUED))
    per_second = _expected_per_second(recent, limit, typical_seconds, concurrency)
    if not per_second:
        return None
    # The last call starts when those before it have started; then it takes as long as a call takes.
    last_start = limit.paused_seconds + unstarted / per_second if unstarted else 0.0
    last_call = typical_seconds if unstarted or counts.get(State.GENERATING) else 0.0
    return max(last_start + last_call, left / per_second, _days_seconds(unstarted, limit), _SHORTEST_ETA_SECONDS)


def _expected_per_second(recent: Recent, limit: LimitState, typical_seconds: float, concurrency: int) -> float:
    """The measured pace as far as it can be trusted, and the limits' for the rest."""
    by_limits = images_per_second(limit.in_force_per_minute, limit.in_flight, typical_seconds, concurrency)
    if limit.paused_seconds:
        return by_limits
    settled_seconds = min(LATELY_SECONDS, _SHORTEST_SPAN_SECONDS + 2 * typical_seconds)
    trust = min(1.0, recent.span_seconds / settled_seconds, recent.ended / _ENOUGH_ENDED)
    return (1 - trust) * by_limits + trust * recent.per_second


def _days_seconds(unstarted: int, limit: LimitState) -> float:
    """What a limit per day adds: a whole day for each that is begun after today's rest."""
    if limit.per_day is None:
        return 0.0
    beyond_today = unstarted - max(0, limit.per_day - limit.started_today)
    return max(0, -(-beyond_today // limit.per_day)) * SECONDS_PER_DAY


def _sum(counts: Mapping[State, int], states: Iterable[State]) -> int:
    return sum(counts.get(state, 0) for state in states)
