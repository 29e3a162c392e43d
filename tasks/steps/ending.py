"""What follows when an image moves on, or cannot: another try, room in its model's queue, a batch that rests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from tasks import graph
from tasks.core.dispatch import StepName
from tasks.core.errors import ImageEnded, LedgerUnavailable, StepError, Superseded
from tasks.core.retry import Decision
from tasks.ledger.rows import Claim, Delivery
from tasks.ledger.summing import is_resting
from tasks.services import Services
from tasks.steps.base import RetryLater
from tasks.steps.lookout import Lookout
from tasks.steps.telling import ask_now_and_then

logger = logging.getLogger(__name__)

_LOOKS_IN_A_WINDOW = 16
_lookout = Lookout()


@contextmanager
def left_to_the_sweep(what: str) -> Iterator[None]:
    """Let nothing out of the block: the move it follows is in the ledger, and the next sweep does it again."""
    try:
        yield
    except (LedgerUnavailable, RedisError, OperationalError) as error:
        logger.warning("%s is left to the next sweep: %s", what, error)
    except Exception:
        logger.exception("%s is left to the next sweep", what)


def announce_if_resting(services: Services, batch_id: str) -> None:
    """The move that ends a batch's last open image sends the summary too: a chord part may never be counted."""
    with left_to_the_sweep(f"telling the webhook of {batch_id}"):
        ask_now_and_then(services, batch_id)
    with left_to_the_sweep(f"the summary of {batch_id}"):
        if is_resting(services.ledger, batch_id):
            graph.summarise(batch_id)


def refill(services: Services, model: str) -> None:
    """Release more when the model's queue runs low, which the ledger is asked now and then."""
    with left_to_the_sweep(f"the next wave of {model}"):
        if _lookout.is_due(model):
            window = graph.release_if_low(services, model)
            _lookout.look_every(model, window // _LOOKS_IN_A_WINDOW)


def follow(
    services: Services, image: Claim | Delivery, step: StepName, error: StepError, decision: Decision
) -> NoReturn:
    """End a failed try whose decision is in the ledger: the message is done, or comes again after a wait.

    Raised without its cause: Celery sends tracebacks to whoever listens to events, and the words of strangers that
    stand behind ``error`` may hold what was sent to them.
    """
    name = f"{image.batch_id} {image.key}"
    if decision.end is not None:
        announce_if_resting(services, image.batch_id)
        raise ImageEnded(f"{name}: {decision.end} in {step}: {error}") from None
    if decision.parks:
        raise Superseded(f"{name}: {step} waits until its destination is back: {error}") from None
    if decision.gives_back:
        raise Superseded(f"{name}: {step} waits {decision.wait_seconds:.0f} s in the ledger") from None
    raise RetryLater(f"{name}: {step}: {error}", decision.wait_seconds or 1.0) from None
