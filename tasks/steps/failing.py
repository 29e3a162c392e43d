"""How a call that came to nothing ends: the retry table decides, the ledger writes it down, others may be held."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NoReturn

from celery.exceptions import Ignore

from tasks.core.dispatch import StepName
from tasks.core.errors import (
    Account,
    Ambiguous,
    ConfigurationError,
    ErrorClass,
    ImagechordError,
    NoRoom,
    StagingFailed,
    StepError,
)
from tasks.core.retry import Decision, Failure, after_failing_alike, after_generate
from tasks.core.states import State
from tasks.ledger.holding import all_failed
from tasks.ledger.rows import Claim
from tasks.ledger.settling import settle_failure
from tasks.services import Services
from tasks.steps import falling_back
from tasks.steps.ending import follow
from tasks.steps.held import tell_soon
from tasks.steps.turn import slow_down

logger = logging.getLogger(__name__)


@contextmanager
def as_step_errors(claimed: Claim) -> Iterator[None]:
    """Let nothing out of a call that the retry table does not know."""
    try:
        yield
    except ConfigurationError as error:
        raise Account(str(error)) from error
    except (ImagechordError, Ignore):
        raise
    except Exception as error:
        # Our own mistake, after money may have been spent: count it as spent, never let it circle for free.
        logger.exception("%s %s: unexpected error in generate", claimed.batch_id, claimed.key)
        raise Ambiguous(f"unexpected {type(error).__name__}: {error}") from error


def fail(services: Services, claimed: Claim, error: StepError, tries: int) -> NoReturn:
    """Settle a failed call as the retry table says; ``tries`` is how often this message was tried before.

    Raises RetryLater, ImageEnded or Superseded.
    """
    decision = _decide(services, claimed, error, tries)
    # Before the settlement: others are about to make the same call.
    slow_down(services, claimed.spec["alias"], error, decision.wait_seconds or 1.0)
    onward = falling_back.onward(services, claimed, error, decision)
    if settle_failure(services.ledger, claimed, error, decision, onward):
        falling_back.move_on(services, claimed.batch_id)
        tell_soon(claimed.batch_id)
    if onward.drawn is not None:
        falling_back.follow(services, claimed, error, onward.drawn)
    follow(services, claimed, StepName.GENERATE, error, decision)


def _decide(services: Services, claimed: Claim, error: StepError, tries: int) -> Decision:
    if isinstance(error, StagingFailed | NoRoom):
        # Buying before there is room would waste the money.
        return Decision(end=State.HELD, holds_others=True)
    failure = Failure(
        error.error_class,
        attempts=claimed.attempt,
        unknowns=claimed.unknowns + (error.error_class is ErrorClass.AMBIGUOUS),
        unsent=tries + 1,
        retry_after_seconds=error.retry_after_seconds,
    )
    decision = after_generate(failure, services.retry_rules)
    if decision.end is State.FAILED and _all_fail(services, claimed, error):
        return after_failing_alike(error.error_class, services.breaker_rules)
    return replace(decision, anew=claimed.later)


def _all_fail(services: Services, claimed: Claim, error: StepError) -> bool:
    """Whether it is not this image: the calls before this one have come to the same."""
    before = services.breaker_rules.calls - 1
    return all_failed(services.ledger, claimed.batch_id, claimed.spec["alias"], error.error_class, before)
