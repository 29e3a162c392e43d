"""How a batch goes: the ledger's counts together with the limits in force."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tasks.core.catalogue import Limits, ModelSpec
from tasks.core.eta import BatchProgress, ModelProgress, Recent
from tasks.core.limits import LimitState
from tasks.core.outages import Outage
from tasks.core.states import State
from tasks.core.summary import BatchSummary
from tasks.ledger import counting, events, summing
from tasks.services import Services

logger = logging.getLogger(__name__)

_TYPICAL_SECONDS = 15.0
"""A call of a model that this machine's catalogue does not know."""


def summarise(services: Services, batch_id: str) -> BatchSummary:
    """The batch as it stands, with its models' limits and the link to its report. Raises KeyError."""
    summary = summing.summarise(services.ledger, batch_id, services.report_url(batch_id))
    limits = tuple(limit_states(services, summary.models).values())
    webhook = events.standing(services.ledger, batch_id)
    return replace(summary, limits=limits, outages=outages(services), webhook=webhook)


def of_summary(services: Services, summary: BatchSummary) -> BatchProgress:
    """Pace and time left of a batch that has just been counted."""
    with services.ledger.read() as connection:
        recent = counting.recent_ends(connection, summary.batch_id)
    return _progress(services, summary.by_model, recent, {limit.name: limit for limit in summary.limits})


def look(services: Services, batch_id: str) -> BatchProgress:
    """The batch's counts, pace and time left: cheap enough to be asked all the time."""
    tally, recent = counting.tally_and_pace(services.ledger, batch_id)
    going = _progress(services, tally.by_model, recent, limit_states(services, tally.by_model))
    return replace(going, outages=outages(services))


def outages(services: Services) -> tuple[Outage, ...]:
    """Destinations to which delivery is held; none where nobody tells."""
    if services.settings.redis_url is None:
        return ()
    from redis import RedisError  # most commands do without

    try:
        return tuple(services.breaker.look())
    except RedisError as error:
        logger.debug("whether delivery is held cannot be read: %s", error)
        return ()


def limit_states(services: Services, models: Iterable[str]) -> dict[str, LimitState]:
    """The limits of models, by alias, as they stand now; the catalogue's where nobody tells."""
    catalogue = services.settings.catalogue.models
    states = {model: _configured(model, catalogue.get(model)) for model in models}
    return states | _live(services, [model for model in states if model in catalogue])


def _live(services: Services, models: Sequence[str]) -> dict[str, LimitState]:
    if services.settings.redis_url is None:
        return {}
    from redis import RedisError  # most commands do without

    try:
        return {state.name: state for state in services.limits.states(models)}
    except RedisError as error:  # what the ledger knows can be told without
        logger.debug("the limits cannot be read: %s", error)
        return {}


def _configured(model: str, spec: ModelSpec | None) -> LimitState:
    limits = spec.limits if spec else Limits()
    return LimitState(model, limits.per_minute, limits.in_flight, limits.per_day)


def _progress(
    services: Services,
    by_model: Mapping[str, Mapping[State, int]],
    recent: Mapping[str, Recent],
    limits: Mapping[str, LimitState],
) -> BatchProgress:
    catalogue, concurrency = services.settings.catalogue.models, services.settings.preferences.worker_concurrency
    return BatchProgress(
        tuple(
            ModelProgress(
                model,
                counts,
                recent.get(model, Recent()),
                limits[model],
                catalogue[model].typical_seconds if model in catalogue else _TYPICAL_SECONDS,
                concurrency,
            )
            for model, counts in by_model.items()
        )
    )
