"""What the steps tell the breaker of deliveries and hear from it; people are told once, when it is certain."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import redis

from tasks.core.dispatch import StepName
from tasks.core.errors import StepError
from tasks.core.outages import ANSWERS, PASSING, destination_of
from tasks.delivery.slack_messages import delivery_goes_on, delivery_held
from tasks.ledger.rows import Delivery
from tasks.services import Services
from tasks.steps.saying import say

logger = logging.getLogger(__name__)


def may_try(services: Services, delivery: Delivery, step: StepName) -> bool:
    """Whether to deliver now: not while the destination is down, unless this image is to find out."""
    try:
        return services.breaker.may_try(destination_of(step), delivery.image_id)
    except redis.RedisError as error:
        logger.warning("breaker of %s: Redis does not answer, trying: %s", step, error)
        return True


def is_outage(services: Services, delivery: Delivery, step: StepName, error: StepError) -> bool:
    """Tell the breaker of a failure; whether it is the destination's rather than the image's."""
    if error.error_class in ANSWERS:
        it_lives(services, step)
    if error.error_class not in PASSING:
        return False
    try:
        held, news = services.breaker.failed(
            destination_of(step), delivery.image_id, error.error_class, str(error), first=delivery.attempt == 1
        )
    except redis.RedisError as trouble:
        logger.warning("breaker of %s: a failure is not counted: %s", step, trouble)
        return False
    if news is not None:
        preferences = services.settings.preferences
        _tell(services, delivery_held(news, language=preferences.language, timezone=preferences.timezone))
    return held


def it_lives(services: Services, step: StepName) -> None:
    """Tell the breaker that the destination has answered."""
    try:
        ended = services.breaker.succeeded(destination_of(step))
    except redis.RedisError as trouble:
        logger.warning("breaker of %s: a success is not known to the cluster: %s", step, trouble)
        return
    if ended is not None:
        _tell(services, delivery_goes_on(ended, datetime.now(UTC), language=services.settings.preferences.language))


def _tell(services: Services, message: dict[str, Any]) -> None:
    """At most once: whoever is told to tell does so, or nobody does."""
    logger.warning("%s", message["text"])
    say(services, "an outage", message)
