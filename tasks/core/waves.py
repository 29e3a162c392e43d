"""How many images of a batch are released to a model's queue at a time."""

from __future__ import annotations

from tasks.core.preferences import Preferences


def window(per_minute: float | None, preferences: Preferences) -> int:
    """``wave_seconds`` of the model's pace, ``wave_min_images`` to ``wave_max_images``, whatever the batch's size.

    Bounded by time so that a lost message shows, a pause holds few messages, and a small batch that comes
    later is not stuck behind a large one.
    """
    if per_minute is None:
        return preferences.wave_max_images
    wanted = round(per_minute / 60.0 * preferences.wave_seconds)
    return max(preferences.wave_min_images, min(preferences.wave_max_images, wanted))
