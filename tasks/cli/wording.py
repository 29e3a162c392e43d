"""Numbers as people read them in a terminal."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from tasks.core.cost import ManualCost, won
from tasks.core.money import format_usd


def counted(number: int, noun: str) -> str:
    """``1 row``, ``2,400 rows``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def money(micros: int, krw_per_usd: Decimal) -> str:
    """``$1.23 (₩1,722)``; ``free`` for nothing."""
    return f"{format_usd(micros)} (₩{won(micros, krw_per_usd):,})" if micros else "free"


def duration(seconds: float) -> str:
    """Two units at most: ``about 45 s``, ``about 2 h 5 min``."""
    if seconds < 1:
        return "less than a second"
    rest, parts = round(seconds), []
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {unit}")
    return "about " + " ".join(parts[:2])


def manual(cost: ManualCost) -> str:
    """What people would charge: ``$500 – $1,000``, ``$50,000 and more``, or that nobody could."""
    if not cost.possible:
        return "practically impossible"
    low = format_usd(cost.low).removesuffix(".00")
    return f"{low} and more" if cost.high is None else f"{low} – {format_usd(cost.high).removesuffix('.00')}"


def clock(value: datetime | None, timezone: str) -> str:
    """A time to the second in the configured time zone; a dash for what has not happened."""
    return "–" if value is None else value.astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M:%S %Z")
