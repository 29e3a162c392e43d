"""How well a limit was used: pure functions over the times of the charges, in seconds since the epoch."""

from __future__ import annotations

from collections.abc import Sequence

Span = tuple[float, float]


def steady_span(charged_at: Sequence[float], *, slot_seconds: float, warm_up_seconds: float) -> Span | None:
    """The steady state: from ``warm_up_seconds`` after the first charge to the end of the last whole slot.

    Slots are counted from the first charge. ``None`` when the run was too short for one slot.
    """
    if not charged_at:
        return None
    first, last = min(charged_at), max(charged_at)
    begin = first + warm_up_seconds
    end = first + (last - first) // slot_seconds * slot_seconds
    return (begin, end) if end - begin >= slot_seconds else None


def whole_windows(
    charged_at: Sequence[float], span: Span | None, boundary: float, seconds: float = 60.0
) -> Span | None:
    """The whole windows of the maker's clock inside the steady state and the run.

    ``boundary`` is one moment at which a window begins. ``None`` when there is none.
    """
    if span is None:
        return None
    begin = boundary + -(-(span[0] - boundary) // seconds) * seconds
    end = boundary + (max(charged_at) - boundary) // seconds * seconds
    return (begin, end) if end > begin else None


def inside(times: Sequence[float], span: Span) -> int:
    """How many of the times fall into the span."""
    begin, end = span
    return sum(begin <= each < end for each in times)


def per_minute(times: Sequence[float], span: Span) -> float:
    """The pace in the span."""
    return inside(times, span) / (span[1] - span[0]) * 60.0


def mean_in_flight(charged_at: Sequence[float], latency_seconds: float, span: Span) -> float:
    """How many calls were under way on average in the span, when each takes ``latency_seconds``."""
    begin, end = span
    overlaps = (min(end, each + latency_seconds) - max(begin, each) for each in charged_at)
    return sum(overlap for overlap in overlaps if overlap > 0) / (end - begin)
