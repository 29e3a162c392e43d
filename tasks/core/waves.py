"""How many images of a batch are released to a model's queue at a time."""

from __future__ import annotations

_SECONDS_OF_PACE = 5.0
_SMALLEST, _LARGEST = 10, 500


def window(per_minute: float | None) -> int:
    """About five seconds of the model's pace, 10 to 500 images, whatever the batch's size.

    Bounded by time so that a lost message shows, a pause holds few messages, and a small batch that comes
    later is not stuck behind a large one.
    """
    if per_minute is None:
        return _LARGEST
    return max(_SMALLEST, min(_LARGEST, round(per_minute / 60.0 * _SECONDS_OF_PACE)))


def unclaimed_after_seconds(per_minute: float | None) -> float:
    """How long a released image may stay unclaimed before its message counts as lost."""
    pace_per_second = (per_minute or 0.0) / 60.0
    return 60.0 + (2 * window(per_minute) / pace_per_second if pace_per_second else 0.0)
