"""The money that a model may cost in a day, over all batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from tasks.core.catalogue import ModelSpec
from tasks.core.money import usd_micros


@dataclass(frozen=True, slots=True)
class DayBudget:
    """One day of a model that has a budget. ``day`` is its date in the model's time zone: 2026-11-22."""

    day: str
    limit_usd_micros: int
    began: datetime
    ends: datetime


def day_budget(spec: ModelSpec, now: datetime) -> DayBudget | None:
    """The budget of the day that ``now`` (aware) is in; ``None`` for a model without one."""
    if spec.budget_usd_per_day is None:
        return None
    zone = ZoneInfo(spec.limits.day_timezone)
    date = now.astimezone(zone).date()
    began, ends = (datetime.combine(day, time(), zone) for day in (date, date + timedelta(days=1)))
    return DayBudget(date.isoformat(), usd_micros(spec.budget_usd_per_day), began, ends)
