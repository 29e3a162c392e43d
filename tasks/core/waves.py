"""How many images are released to a model's queue at a time, and whose."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.core.limits import LimitState
from tasks.core.preferences import Preferences
from tasks.core.retry import MAX_COUNTDOWN_SECONDS

WEIGHTS = {"low": 1, "normal": 4, "high": 16}
"""A batch's priority → its weight among the batches that share a model."""

_MOST_WINDOWS = 4
"""Images that wait for their own next try do not fill the window, but with them at most so many windows are queued."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many images of a model may be queued (``window``), and how many of all models paid for and undelivered."""

    window: int
    undelivered: int


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How many images of a model are queued: ``ready``, or ``waiting`` for their own next try.

    ``undelivered`` images of all models have been paid for and are not in the CMS yet.
    """

    ready: int
    waiting: int
    undelivered: int


@dataclass(frozen=True, slots=True)
class Claimant:
    """A batch with ``planned`` images to release, of which ``queued`` are in the queue and ready."""

    batch_id: str
    weight: int
    queued: int
    planned: int


def pace_per_minute(state: LimitState, typical_seconds: float) -> float | None:
    """How many calls of a model can start in a minute; ``None`` without a limit. A call takes ``typical_seconds``."""
    by_slots = None if state.in_flight is None else state.in_flight / typical_seconds * 60.0
    return min((pace for pace in (state.in_force_per_minute, by_slots) if pace is not None), default=None)


def window(state: LimitState, typical_seconds: float, preferences: Preferences) -> int:
    """``wave_seconds`` of the model's pace, ``wave_min_images`` to ``wave_max_images``, whatever the batch's size.

    Bounded by time so that a lost message shows, a pause holds few messages, and a small batch that comes
    later is not stuck behind a large one. No more than the provider's day has left, and nothing while the model is
    closed for longer than a message should wait.
    """
    if state.paused_seconds > MAX_COUNTDOWN_SECONDS:
        return 0
    pace = pace_per_minute(state, typical_seconds)
    wanted = preferences.wave_max_images if pace is None else round(pace / 60.0 * preferences.wave_seconds)
    size = max(preferences.wave_min_images, min(preferences.wave_max_images, wanted))
    return size if state.per_day is None else max(0, min(size, state.per_day - state.started_today))


def room(bounds: Bounds, occupied: Occupancy) -> int:
    """How many more images of the model may be queued."""
    return max(0, min(bounds.window - occupied.ready, _most(bounds, occupied)))


def is_low(bounds: Bounds, occupied: Occupancy) -> bool:
    """Whether there is room for half a window: less is not worth a wave of its own."""
    return room(bounds, occupied) >= max(1, bounds.window - bounds.window // 2)


def turns(bounds: Bounds, occupied: Occupancy, claimants: Sequence[Claimant]) -> list[str]:
    """Whose image is released next, and next, until the room is used up: batch ids, interleaved.

    The queue is first come, first served, so a batch's share of what it holds is its share of the pace: the room
    is filled up to shares in proportion to the weights. After that, every batch that has nothing in the queue yet
    gets one image, even beyond the window: none starves, however many they are and however heavy the others.
    Of equals the first claimant comes first: give them in another order each time.
    """
    order = _by_weight(room(bounds, occupied), claimants)
    served = set(order)
    starving = [each.batch_id for each in claimants if each.planned and not each.queued and each.batch_id not in served]
    beyond = _most(bounds, occupied) - len(order) if bounds.window else 0
    return order + starving[: max(0, beyond)]


def _by_weight(images: int, claimants: Sequence[Claimant]) -> list[str]:
    """The batch that is the furthest behind its share is next (the divisors of Webster and Sainte-Laguë)."""
    heap = [((each.queued + 0.5) / each.weight, n, 0) for n, each in enumerate(claimants) if each.planned]
    heapq.heapify(heap)
    order: list[str] = []
    while heap and len(order) < images:
        fullness, n, taken = heapq.heappop(heap)
        order.append(claimants[n].batch_id)
        if taken + 1 < claimants[n].planned:
            heapq.heappush(heap, (fullness + 1 / claimants[n].weight, n, taken + 1))
    return order


def _most(bounds: Bounds, occupied: Occupancy) -> int:
    """What may be released at the very most, whoever waits."""
    queued = occupied.ready + occupied.waiting
    return min(_MOST_WINDOWS * bounds.window - queued, bounds.undelivered - occupied.undelivered)
