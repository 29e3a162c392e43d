"""What ``upload_s3`` and ``patch_cms`` share: read, do, record; a failure follows the retry table."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NoReturn

from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import ImageEnded, LedgerUnavailable, Overloaded, Poison, StepError, Superseded
from tasks.core.retry import Failure, after_delivery
from tasks.ledger.delivering import count_start, load, park, settle_delivery_failure
from tasks.ledger.holding import stop_delivery
from tasks.ledger.rows import Delivery
from tasks.services import Services
from tasks.steps.base import RetryLater
from tasks.steps.ending import announce_if_resting, follow
from tasks.steps.held import tell_soon
from tasks.steps.outage import is_outage, it_lives, may_try
from tasks.steps.subject import bind
from tasks.steps.suspects import alone_if
from tasks.steps.timing import timed

logger = logging.getLogger(__name__)


_MOST_DEATHS = 2


def deliver(services: Services, ticket: Ticket, step: StepName, act: Callable[[Services, Delivery], None]) -> None:
    """Run one free, idempotent step. ``act`` does it and settles; it raises StepError when it cannot.

    While the destination is down the image waits in the ledger. Raises RetryLater, ImageEnded or Superseded.
    """
    delivery = load(services.ledger, ticket, step)
    if delivery is None:
        return
    bind(batch=delivery.batch_id, sku=delivery.key, model=delivery.model)
    if delivery.stopped_by is not None:
        stop_delivery(services.ledger, delivery, step)
        announce_if_resting(services, delivery.batch_id)
        raise Superseded(f"image {delivery.key!r}: its batch is on hold ({delivery.stopped_by})")
    if not may_try(services, delivery, step):
        park(services.ledger, delivery, step)
        raise Superseded(f"{delivery.batch_id} {delivery.key}: {step} waits until its destination is back")
    try:
        with alone_if(delivery.starts):
            _count_start(services, delivery, step)
            with timed(services, step, delivery.model):
                act(services, delivery)
        logger.info("%s %s: %s done", delivery.batch_id, delivery.key, step)
    except StepError as error:
        _fail(services, delivery, step, error)
    except (Superseded, ImageEnded, RetryLater, LedgerUnavailable):
        raise
    except Exception as error:
        # Our own mistake must end as a state, not as a silent row.
        logger.exception("%s %s: unexpected error in %s", delivery.batch_id, delivery.key, step)
        _fail(services, delivery, step, Overloaded(f"unexpected {type(error).__name__}: {error}"))
    else:
        it_lives(services, step)


def _count_start(services: Services, delivery: Delivery, step: StepName) -> None:
    """Where a message was lost before. Raises Poison when the workers that began it since then have died."""
    if delivery.starts is None:
        return
    if delivery.starts >= _MOST_DEATHS:
        raise Poison(f"its worker died {delivery.starts} times during {step}; its log, or the system's, says why")
    count_start(services.ledger, delivery, step)


def _fail(services: Services, delivery: Delivery, step: StepName, error: StepError) -> NoReturn:
    failure = Failure(
        error.error_class,
        attempts=delivery.attempt,
        retry_after_seconds=error.retry_after_seconds,
        outage=is_outage(services, delivery, step, error),
    )
    decision = after_delivery(failure, services.retry_rules)
    if settle_delivery_failure(services.ledger, delivery, step, error, decision):
        tell_soon(delivery.batch_id)
    follow(services, delivery, step, error, decision)
