"""How a model's (or the CMS's) cluster-wide limits stand at a moment: what ``limits``, ``status`` and Flower show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LimitState:
    """One limited thing. ``None`` means no limit. ``per_minute`` counts starts of calls in 60 seconds.

    ``per_minute``, ``in_flight`` and ``per_day`` are those in force: the catalogue's, or an operator's change.
    ``found_per_minute`` is what the other side was found to enforce below that, ``None`` while nothing was found.
    ``pace_per_minute`` is measured over the last 10 to 20 seconds; 0.0 when nothing was started in them.
    """

    name: str
    per_minute: float | None = None
    in_flight: int | None = None
    per_day: int | None = None
    changed: bool = False
    found_per_minute: float | None = None
    in_flight_now: int = 0
    started_today: int = 0
    paused_seconds: float = 0.0
    pace_per_minute: float = 0.0

    @property
    def in_force_per_minute(self) -> float | None:
        """The rate that new calls go by."""
        known = [rate for rate in (self.per_minute, self.found_per_minute) if rate is not None]
        return min(known, default=None)


def format_rate(per_minute: float) -> str:
    """``1,200``, ``30``, ``2.5``: a rate to no more places than anybody needs."""
    return f"{per_minute:,.0f}" if per_minute >= 10 else f"{per_minute:.1f}".removesuffix(".0")
