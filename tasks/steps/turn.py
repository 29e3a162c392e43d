"""The right to make one call, as the consumer got it or asked for anew, and what becomes of it afterwards."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from time import monotonic
from typing import Any

import redis

from tasks.core.dispatch import Ticket
from tasks.core.errors import ErrorClass, StepError, Superseded
from tasks.core.retry import MAX_COUNTDOWN_SECONDS
from tasks.ledger.limiting import postpone
from tasks.limits.limiter import Grant, Wait
from tasks.services import Services
from tasks.steps.base import RetryLater

logger = logging.getLogger(__name__)

_GRANT = "imagechord_grant"
_GOOD_FOR_SECONDS = 3.0
_ASK_AGAIN_SECONDS = 1.0


class Outcome(Enum):
    """What a turn has come to. Whoever says nothing has made no call."""

    NO_CALL = auto()
    CALLED = auto()
    PARKED = auto()  # the provider is at work, and the call in flight until it is collected
    TWINS = auto()  # the same message is being worked on elsewhere, under the same name: leave the turn to it


@dataclass
class Turn:
    """One call's right; ``outcome`` decides at the end whether it is released, given back or left."""

    outcome: Outcome = Outcome.NO_CALL


def hand_over(delivery_info: dict[str, Any], grant: Grant | None) -> None:
    """Send a grant along with a message to the pool. It stays on this host and is not part of a retry's message."""
    delivery_info[_GRANT] = None if grant is None else (monotonic(), *grant)


@contextmanager
def turn(services: Services, name: str, ticket: Ticket, delivery_info: Mapping[str, Any]) -> Iterator[Turn]:
    """Hold the right to one call for the length of the block.

    Raises RetryLater when there is none, Superseded when that will take so long that the ledger waits instead.
    """
    grant = _handed_over(services, name, ticket, delivery_info) or _ask(services, name, ticket)
    mine = Turn()
    try:
        yield mine
    finally:
        _end(services, name, ticket, grant, mine.outcome)


def _handed_over(services: Services, name: str, ticket: Ticket, delivery_info: Mapping[str, Any]) -> Grant | None:
    """The consumer's grant, unless it has waited for so long that there may have been a pause since."""
    handed = delivery_info.get(_GRANT)
    if handed is None:
        return None
    moment, *values = handed
    grant = Grant(*values)
    if 0 <= monotonic() - moment <= _GOOD_FOR_SECONDS:
        return grant
    _end(services, name, ticket, grant, Outcome.NO_CALL)
    return None


def _ask(services: Services, name: str, ticket: Ticket) -> Grant:
    try:
        answer, _interval = services.limits.take(name, ticket.member, horizon_seconds=0.0)
    except redis.RedisError as error:
        raise RetryLater(f"the limiter of {name} does not answer: {error}", _ASK_AGAIN_SECONDS) from error
    if isinstance(answer, Grant):
        return answer
    raise _waiting(services, name, ticket, answer)


def _waiting(services: Services, name: str, ticket: Ticket, wait: Wait) -> RetryLater | Superseded:
    """How a message without a right ends: it comes again, or its image waits in the ledger."""
    reason = f"image {ticket.image_id}: {name} waits {wait.seconds:.0f} s ({wait.reason})"
    if wait.seconds <= MAX_COUNTDOWN_SECONDS:
        return RetryLater(reason, max(wait.seconds, _ASK_AGAIN_SECONDS))
    postpone(services.ledger, ticket, datetime.now(UTC) + timedelta(seconds=wait.seconds))
    return Superseded(f"{reason} in the ledger")


def _end(services: Services, name: str, ticket: Ticket, grant: Grant, outcome: Outcome) -> None:
    try:
        if outcome is Outcome.NO_CALL:
            services.limits.refund(name, ticket.member, grant)
        elif outcome is Outcome.CALLED and grant.tracked:
            services.limits.release(name, ticket.member)
    except redis.RedisError as error:
        logger.warning("limiter of %s: %s is not released before its time: %s", name, ticket.member, error)


def slow_down(services: Services, name: str, error: StepError, backoff_seconds: float) -> None:
    """Let the whole cluster do what the other side asked for: pause, and after a 429 go slower."""
    asked = error.retry_after_seconds
    try:
        if error.error_class is ErrorClass.RATE_LIMITED:
            services.limits.throttled(name, backoff_seconds if asked is None else asked)
        elif error.error_class is ErrorClass.OVERLOADED and asked:
            services.limits.pause(name, asked)
    except redis.RedisError as trouble:
        logger.warning("limiter of %s: its pause is not known to the cluster: %s", name, trouble)
