"""What is limited over the whole cluster, and how a limit stands: what ``limits``, ``status`` and Flower show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from tasks.core.catalogue import Limits

CMS = "cms"
"""The name under which the CMS is limited; models are limited under their aliases."""

RESERVED_NAMES = frozenset({CMS, "control", "deliver"})
"""What no model can be called: these are limits and queues of other things."""

LIMIT_NAMES = ("per_minute", "in_flight", "per_day")


@dataclass(frozen=True, slots=True)
class Limited:
    """A model, or the CMS, with the limits that its file gives it.

    ``longest_seconds``: a call that has not ended after so long is not in flight any more.
    """

    name: str
    limits: Limits
    longest_seconds: float

    def utc_offset_seconds(self, now: datetime) -> int:
        """How far the clock that ``per_day`` goes by is ahead of UTC at the moment ``now`` (aware)."""
        offset = now.astimezone(ZoneInfo(self.limits.day_timezone)).utcoffset()
        return round(offset.total_seconds()) if offset is not None else 0

    def midnight_before(self, now: datetime) -> datetime:
        """When the day of ``per_day`` began."""
        return now.astimezone(ZoneInfo(self.limits.day_timezone)).replace(hour=0, minute=0, second=0, microsecond=0)


def rate_limit_text(per_minute: float | None) -> str | None:
    """A rate as Celery writes it: ``30/m``; ``None`` for no limit."""
    return None if per_minute is None else f"{per_minute:g}/m"


@dataclass(frozen=True, slots=True)
class LimitState:
    """One limited thing. ``None`` means no limit. ``per_minute`` counts starts of calls in 60 seconds.

    ``per_minute``, ``in_flight`` and ``per_day`` are those in force: the catalogue's, or an operator's change, which
    is among ``overridden`` then. ``in_flight_now`` is counted where ``in_flight`` is limited, and 0 elsewhere.
    ``paused_seconds`` lasts until the provider's midnight when the day's calls are used up.
    ``found_per_minute`` is what the other side was found to enforce below that, ``None`` while nothing was found.
    ``pace_per_minute`` is measured over the last 10 to 20 seconds; 0.0 when nothing was started in them.
    """

    name: str
    per_minute: float | None = None
    in_flight: int | None = None
    per_day: int | None = None
    overridden: tuple[str, ...] = ()
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
