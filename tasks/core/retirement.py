"""Models that their makers switch off: told beforehand, refused from the day on. Pure: the day comes from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from tasks.core.catalogue import ModelSpec

_TOLD_BEFORE = timedelta(days=60)


def has_retired(spec: ModelSpec, today: date) -> bool:
    """Whether the model is gone; the day itself counts, since nobody says at what hour."""
    return spec.retires is not None and today >= spec.retires


def retires_soon(spec: ModelSpec, today: date) -> bool:
    """Whether that is within sixty days."""
    return spec.retires is not None and not has_retired(spec, today) and spec.retires - today <= _TOLD_BEFORE


def notice(models: Mapping[str, ModelSpec], alias: str, today: date) -> str:
    """That a model retires soon or has retired, and what to take instead; empty for the others."""
    spec = models[alias]
    if spec.retires is None or not _is_news(spec, today):
        return ""
    other = _replacement(models, spec, today)
    instead = f"take another model, for instance --model {other}" if other else "take another model"
    if has_retired(spec, today):
        return f"{alias} was retired on {spec.retires}: {instead}"
    days = (spec.retires - today).days
    return f"{alias} retires on {spec.retires}, in {days} day{'s' if days > 1 else ''}: {instead} by then"


def refusal_of_retired(models: Mapping[str, ModelSpec], aliases: Iterable[str], today: date) -> str:
    """Why nothing is bought from those of these models that are gone, and what to take; empty when none is."""
    return ". ".join(notice(models, alias, today) for alias in aliases if has_retired(models[alias], today))


def _is_news(spec: ModelSpec, today: date) -> bool:
    return has_retired(spec, today) or retires_soon(spec, today)


def _replacement(models: Mapping[str, ModelSpec], spec: ModelSpec, today: date) -> str | None:
    """Its first fallback that stays, else the first model of one of its uses that does."""
    same_use = (alias for alias, other in models.items() if set(other.uses) & set(spec.uses))
    for alias in (*spec.fallback, *same_use):
        if alias != spec.alias and not _is_news(models[alias], today):
            return alias
    return None
