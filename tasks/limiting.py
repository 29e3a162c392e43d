"""Limits as an operator sees them: changed for the whole cluster and for good, rebuilt where Redis has lost them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tasks.core.errors import InputError
from tasks.core.limits import LimitState
from tasks.ledger import limiting
from tasks.ledger.limiting import Override
from tasks.limits.epoch import begin_epoch
from tasks.limits.epoch import broker_epoch as known_epoch
from tasks.limits.limiter import write_calls, write_override
from tasks.services import Services


def change(services: Services, name: str, changes: Override) -> None:
    """Put limits before the catalogue's: everybody goes by them at once, and a Redis that was emptied too.

    Raises InputError for a name that is not limited.
    """
    _require_known(services, name)
    _tell(services, name, limiting.change_override(services.ledger, name, changes))


def reset(services: Services, name: str) -> None:
    """Go back to the catalogue's limits. Raises InputError for a name that is not limited."""
    _require_known(services, name)
    limiting.remove_override(services.ledger, name)
    _tell(services, name, {})


def _tell(services: Services, name: str, override: Override) -> None:
    if services.settings.redis_url is not None:
        services.limits.override(name, override)
    limiting.end_waits(services.ledger, name)


def states(services: Services) -> list[LimitState]:
    """How every limit stands; without a broker, what the next one will go by."""
    if services.settings.redis_url is not None:
        return services.limits.states()
    changed = limiting.overrides(services.ledger) if services.ledger_exists() else {}
    return [
        LimitState(
            name=each.name,
            overridden=tuple(changed.get(each.name, {})),
            **(each.limits.model_dump(exclude={"day_timezone"}) | dict(changed.get(each.name, {}))),
        )
        for each in services.limited
    ]


def broker_epoch(services: Services) -> datetime:
    """Since when the broker has its data. What it has lost is made up for first: until then nothing is bought."""
    return known_epoch(services.redis) or _begin_epoch(services)


def _begin_epoch(services: Services) -> datetime:
    now = datetime.now(UTC)
    limited = services.limits.limited.values()
    changed = limiting.overrides(services.ledger)
    flying = limiting.calls_under_way(services.ledger)
    days = {each.midnight_before(now) for each in limited}
    calls = {midnight: limiting.calls_since(services.ledger, midnight) for midnight in days}

    def restore(pipe: Any) -> None:
        for each in limited:
            write_override(pipe, each.name, changed.get(each.name, {}))
            members = [ticket.member for ticket in flying.get(each.name, ())]
            write_calls(pipe, each, now, members, calls[each.midnight_before(now)].get(each.name, 0))

    return begin_epoch(services.redis, restore)


def _require_known(services: Services, name: str) -> None:
    names = [each.name for each in services.limited]
    if name not in names:
        hint = "; set CMS_URL first" if name == "cms" else ""
        raise InputError(f"{name!r} is not limited here{hint}; there are: {', '.join(names)}")
