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
from tasks.core.errors import Ambiguous, ErrorClass, NoRoom, StagingFailed, StepError, Superseded
from tasks.core.limits import rate_limit_text
from tasks.core.retry import Decision, Failure, after_failing_alike, after_generate
from tasks.core.states import State
from tasks.ledger.claiming import NoClaim, Stopped, claim
from tasks.ledger.holding import all_failed, apply_holds
from tasks.ledger.rows import Claim
from tasks.ledger.settling import Bought, settle_failure, settle_generated
from tasks.services import Services, current_services
from tasks.steps import falling_back
from tasks.steps.buying import buy
from tasks.steps.ending import announce_if_resting, follow, refill
from tasks.steps.held import say_held
from tasks.steps.orphans import ImageStep
from tasks.steps.suspects import enter_alone, not_yet
from tasks.steps.turn import Outcome, Turn, slow_down, turn

logger = logging.getLogger(__name__)


def generate(services: Services, mine: Turn, model: str, ticket: Ticket, tries: int) -> None:
    """Claim, buy, settle. ``mine`` is the right to one call; ``tries`` is how often this message was tried before.

    Returns when the chain is to go on. Raises RetryLater, ImageEnded, Superseded, or Celery's Ignore when the
    same message is being worked on elsewhere.
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
            mine.outcome = Outcome.CALLED
            _settle(services, mine, claimed, tries)


def _settle(services: Services, mine: Turn, claimed: Claim, tries: int) -> None:
    """Make the call and write down what has come of it."""
    try:
        settle_generated(services.ledger, claimed, _buy(services, claimed))
        logger.info("%s %s: generated, call %d", claimed.batch_id, claimed.key, claimed.attempt)
    except StepError as error:
        _fail(services, mine, claimed, error, tries)
    finally:
        refill(services, claimed.spec["alias"])


def _stop(services: Services, stopped: Stopped) -> NoReturn:
    """The image waits for money or for a person; whoever is the first to meet that takes the others along."""
    if stopped.began:
        apply_holds(services.ledger, stopped.batch_id)
        say_held(services, stopped.batch_id)
    announce_if_resting(services, stopped.batch_id)
    raise Superseded(f"image {stopped.key!r} waits: {stopped.message}")


def _buy(services: Services, claimed: Claim) -> Bought:
    try:
        return buy(services, claimed)
    except StepError:
        raise
    except Exception as error:
        # Our own mistake, after money may have been spent: count it as spent, never let it circle for free.
        logger.exception("%s %s: unexpected error in generate", claimed.batch_id, claimed.key)
        raise Ambiguous(f"unexpected {type(error).__name__}: {error}") from error


def _fail(services: Services, mine: Turn, claimed: Claim, error: StepError, tries: int) -> NoReturn:
    """Settle a failed call as the retry table says."""
    if error.error_class is ErrorClass.NOT_SENT:
        mine.outcome = Outcome.NO_CALL
    decision = _decide(services, claimed, error, tries)
    # Before the settlement: others are about to make the same call.
    slow_down(services, claimed.spec["alias"], error, decision.wait_seconds or 1.0)
    onward = falling_back.onward(services, claimed, error, decision)
    if settle_failure(services.ledger, claimed, error, decision, onward):
        falling_back.move_on(services, claimed.batch_id)
        say_held(services, claimed.batch_id)
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
    return decision


def _all_fail(services: Services, claimed: Claim, error: StepError) -> bool:
    """Whether it is not this image: the calls before this one have come to the same."""
    before = services.breaker_rules.calls - 1
    return all_failed(services.ledger, claimed.batch_id, claimed.spec["alias"], error.error_class, before)


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
            generate(services, mine, spec.alias, ticket, self.request.retries)


for _spec in current_services().settings.catalogue.models.values():
    _register(_spec)
