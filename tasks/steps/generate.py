"""``imagechord.generate.<model>``: buy one picture. One task type and one ``rate_limit`` per model."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import Any, NoReturn

from celery.exceptions import Ignore

from tasks.celery import app
from tasks.core import routing
from tasks.core.catalogue import ModelSpec
from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import ErrorClass, StepError, Superseded
from tasks.core.limits import rate_limit_text
from tasks.ledger.claiming import NoClaim, Stopped, claim
from tasks.ledger.holding import apply_holds
from tasks.ledger.rows import Claim
from tasks.ledger.settling import Bought, settle_generated
from tasks.providers.base import QueueProvider
from tasks.services import Services, current_services
from tasks.steps.buying import buy
from tasks.steps.ending import announce_if_resting, refill
from tasks.steps.failing import as_step_errors, fail
from tasks.steps.held import tell_soon
from tasks.steps.later import goes_on, hand_in
from tasks.steps.orphans import ImageStep
from tasks.steps.subject import bind
from tasks.steps.suspects import enter_alone, not_yet
from tasks.steps.timing import timed
from tasks.steps.turn import Outcome, Turn, turn

logger = logging.getLogger(__name__)


def generate(services: Services, mine: Turn, model: str, ticket: Ticket, task: Any) -> None:
    """Claim, buy, settle. ``mine`` is the right to one call; ``task`` is the running one.

    Returns when the chain is to go on. Raises RetryLater, ImageEnded, Superseded, or Celery's Ignore when the same
    message is being worked on elsewhere, or the provider answers later.
    """
    day = services.day_budget(model)
    with ExitStack() as alone:
        claimed = claim(services.ledger, ticket, services.worker_id, day, lambda: enter_alone(alone))
        if claimed is NoClaim.TWIN:
            mine.outcome = Outcome.TWINS
            raise Ignore
        if claimed is NoClaim.NOT_YET:
            raise not_yet()
        if isinstance(claimed, Stopped):
            _stop(services, claimed)
        if isinstance(claimed, Claim):
            bind(batch=claimed.batch_id, sku=claimed.key)
            mine.outcome = Outcome.CALLED
            _settle(services, mine, claimed, task)


def _settle(services: Services, mine: Turn, claimed: Claim, task: Any) -> None:
    """Make the call and write down what has come of it."""
    try:
        with timed(services, StepName.GENERATE, claimed.spec["alias"]):
            settle_generated(services.ledger, claimed, _call(services, claimed, task))
        logger.info("%s %s: generated, call %d", claimed.batch_id, claimed.key, claimed.attempt)
    except Ignore:
        mine.outcome = Outcome.PARKED
        raise
    except StepError as error:
        if error.error_class is ErrorClass.NOT_SENT:
            mine.outcome = Outcome.NO_CALL
        fail(services, claimed, error, task.request.retries)
    finally:
        refill(services, claimed.spec["alias"])


def _call(services: Services, claimed: Claim, task: Any) -> Bought:
    """The one paid call. Raises Celery's Ignore when the provider answers later."""
    with as_step_errors(claimed):
        provider = services.provider(claimed.spec["provider"])
        if isinstance(provider, QueueProvider):
            hand_in(services, provider, claimed, goes_on(task))
        return buy(services, provider, claimed)


def _stop(services: Services, stopped: Stopped) -> NoReturn:
    """The image waits for money or for a person; whoever is the first to meet that takes the others along."""
    bind(batch=stopped.batch_id, sku=stopped.key)
    if stopped.began:
        apply_holds(services.ledger, stopped.batch_id)
        tell_soon(stopped.batch_id)
    announce_if_resting(services, stopped.batch_id)
    raise Superseded(f"image {stopped.key!r} waits: {stopped.message}")


def _register(spec: ModelSpec) -> None:
    """One task type for the model; its limit shows in Flower and changes with ``celery control rate_limit``."""

    @app.task(
        bind=True,
        base=ImageStep,
        name=routing.generate_task(spec.alias),
        rate_limit=rate_limit_text(spec.limits.per_minute),
    )
    def _task(self: Any, image_id: int, dispatch_no: int) -> None:
        services, ticket = current_services(), Ticket(image_id, dispatch_no)
        with turn(services, spec.alias, ticket, self.request.delivery_info) as mine:
            generate(services, mine, spec.alias, ticket, self)


for _spec in current_services().settings.catalogue.models.values():
    _register(_spec)
