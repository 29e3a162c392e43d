"""``imagechord.generate.<model>``: buy one picture. One task type and one ``rate_limit`` per model."""

from __future__ import annotations

import logging
from typing import Any, NoReturn

from celery.exceptions import Ignore

from tasks.celery import app
from tasks.core import routing
from tasks.core.catalogue import ModelSpec
from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import Ambiguous, ErrorClass, StepError
from tasks.core.retry import Decision, Failure, after_generate
from tasks.core.states import State
from tasks.ledger.claiming import NoClaim, claim
from tasks.ledger.rows import Claim
from tasks.ledger.settling import Bought, settle_failure, settle_generated
from tasks.limits.bucket import pause
from tasks.services import Services, current_services
from tasks.steps.buying import StagingFailed, buy
from tasks.steps.ending import follow, left_to_the_sweep, refill

logger = logging.getLogger(__name__)


def generate(services: Services, ticket: Ticket, tries: int) -> None:
    """Claim, buy, settle. ``tries`` is how often this message has been tried before.

    Returns when the chain is to go on. Raises RetryLater, ImageEnded, Superseded, or Celery's Ignore when the
    same message is being worked on elsewhere.
    """
    claimed = claim(services.ledger, ticket, services.worker_id)
    if claimed is NoClaim.TWIN:
        raise Ignore
    if not isinstance(claimed, Claim):
        return
    try:
        settle_generated(services.ledger, claimed, _buy(services, claimed))
        logger.info("%s %s: generated, call %d", claimed.batch_id, claimed.key, claimed.attempt)
    except StepError as error:
        _fail(services, claimed, error, tries)
    finally:
        refill(services, claimed.spec["alias"])


def _buy(services: Services, claimed: Claim) -> Bought:
    try:
        return buy(services, claimed)
    except StepError:
        raise
    except Exception as error:
        # Our own mistake, after money may have been spent: count it as spent, never let it circle for free.
        logger.exception("%s %s: unexpected error in generate", claimed.batch_id, claimed.key)
        raise Ambiguous(f"unexpected {type(error).__name__}: {error}") from error


def _fail(services: Services, claimed: Claim, error: StepError, tries: int) -> NoReturn:
    """Settle a failed call as the retry table says."""
    decision = _decide(services, claimed, error, tries)
    settle_failure(services.ledger, claimed, error, decision)
    if error.error_class is ErrorClass.RATE_LIMITED:
        with left_to_the_sweep(f"the pause of {claimed.spec['alias']}"):
            pause(services.redis, claimed.spec["alias"], decision.wait_seconds or 1.0)
    follow(services, claimed, StepName.GENERATE, error, decision)


def _decide(services: Services, claimed: Claim, error: StepError, tries: int) -> Decision:
    if isinstance(error, StagingFailed):
        # Buying again before there is room would waste the money again.
        return Decision(end=State.HELD)
    failure = Failure(
        error.error_class,
        attempts=claimed.attempt,
        unknowns=claimed.unknowns + (error.error_class is ErrorClass.AMBIGUOUS),
        unsent=tries + 1,
        retry_after_seconds=error.retry_after_seconds,
    )
    return after_generate(failure, services.retry_rules)


def _register(spec: ModelSpec) -> None:
    """One task type for the model; its limit shows in Flower and changes with ``celery control rate_limit``."""
    per_minute = spec.limits.per_minute

    @app.task(
        bind=True,
        name=routing.generate_task(spec.alias),
        rate_limit=None if per_minute is None else f"{per_minute:g}/m",
    )
    def _task(self: Any, image_id: int, dispatch_no: int) -> None:
        generate(current_services(), Ticket(image_id, dispatch_no), self.request.retries)


for _spec in current_services().settings.catalogue.models.values():
    _register(_spec)
