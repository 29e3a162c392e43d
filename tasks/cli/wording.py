"""Numbers as people read them in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from tasks.core.cost import ManualCost, won
from tasks.core.events import Standing
from tasks.core.holds import Hold
from tasks.core.limits import CMS, LimitState, format_rate
from tasks.core.money import format_usd
from tasks.core.outages import S3, Outage

_DESTINATIONS = {S3: "public storage", CMS: "the CMS"}


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


def time_left(seconds: float | None) -> str:
    """As a plan words it, to the minute when it is long; ``not known``, which zero is not."""
    if seconds is None:
        return "not known"
    return duration(seconds if seconds < 600 else 60 * round(seconds / 60))


def limits(limit: LimitState) -> str:
    """``60/min, 8 at once, 2,000/day``: what is in force; ``none``."""
    rate = limit.in_force_per_minute
    parts = [
        None if rate is None else f"{format_rate(rate)}/min",
        limit.in_flight and f"{limit.in_flight:,} at once",
        limit.per_day and f"{limit.per_day:,}/day",
    ]
    return ", ".join(part for part in parts if part) or "none"


def limit_notes(limit: LimitState) -> Iterator[str]:
    """What one should know of a limit beside its numbers: one was found, the model is paused."""
    if limit.found_per_minute is not None:
        configured = "none is" if limit.per_minute is None else f"{format_rate(limit.per_minute)} are"
        yield f"the provider allows about {format_rate(limit.found_per_minute)} a minute, {configured} configured"
    if limit.paused_seconds:
        yield f"paused for {duration(limit.paused_seconds)}: the provider asked for it"


def hold(hold: Hold, timezone: str) -> str:
    """``whole batch, since 2026-11-22 18:00:00 KST: paused by a person``; until when, where that is known."""
    until = "" if hold.until is None else f", until {clock(hold.until, timezone)}"
    onward = ", its pictures go on with a fallback" if hold.falls_back else ""
    return f"{hold.model or 'whole batch'}, since {clock(hold.since, timezone)}{until}{onward}: {hold.message}"


def held_delivery(outage: Outage, timezone: str) -> str:
    """Since when pictures wait for a destination, why, and that nobody need do anything else."""
    where, since = _DESTINATIONS[outage.destination], clock(outage.since, timezone)
    return f"delivery to {where} is held since {since}, and goes on by itself when it is back: {outage.message}"


def webhook(standing: Standing) -> str:
    """How it stands with the webhook: ``everything is told``, or how much is not, and why."""
    told = f"{counted(standing.untold, 'event')} not told" if standing.untold else "everything is told"
    if standing.error is None:
        return told
    end = "given up" if standing.gave_up else "tried again"
    return f"{told}, {end}: {standing.error}"


def manual(cost: ManualCost) -> str:
    """What people would charge: ``$500 – $1,000``, ``$50,000 and more``, or that nobody could."""
    if not cost.possible:
        return "practically impossible"
    low = format_usd(cost.low).removesuffix(".00")
    return f"{low} and more" if cost.high is None else f"{low} – {format_usd(cost.high).removesuffix('.00')}"


def clock(value: datetime | None, timezone: str) -> str:
    """A time to the second in the configured time zone; a dash for what has not happened."""
    return "–" if value is None else value.astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M:%S %Z")
