"""When an image's end is the occasion to look whether its model's queue runs low."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

_LONGEST_SECONDS = 0.5
"""Without a look for so long, the next end looks: many processes with few ends each must not overlook the mark."""


class Lookout:
    """Counts the ends of images in this process, for its threads together."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._every: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        self._looked_at: dict[str, float] = {}

    def look_every(self, model: str, ends: int) -> None:
        """From now on so many ends of the model are a reason to look; before this is said, each one is."""
        self._every[model] = ends

    def is_due(self, model: str) -> bool:
        """Whether this end is a reason to look, as one of so many or as the first one for half a second."""
        now = self._clock()
        with self._lock:
            ends = self._ends.get(model, 0) + 1
            silent_seconds = now - self._looked_at.get(model, now)
            due = ends >= self._every.get(model, 1) or silent_seconds >= _LONGEST_SECONDS
            self._ends[model] = 0 if due else ends
            if due:
                self._looked_at[model] = now
        return due
