"""What follows when an image moves on: room in its model's queue, or a batch that rests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from tasks import graph
from tasks.core.errors import LedgerUnavailable
from tasks.ledger.summing import is_resting
from tasks.services import Services

logger = logging.getLogger(__name__)


@contextmanager
def left_to_the_sweep(what: str) -> Iterator[None]:
    """Let nothing out of the block: the move it follows is in the ledger, and the next sweep does it again."""
    try:
        yield
    except LedgerUnavailable as error:
        logger.warning("%s is left to the next sweep: %s", what, error)
    except Exception:
        logger.exception("%s is left to the next sweep", what)


def announce_if_resting(services: Services, batch_id: str) -> None:
    """The move that ends a batch's last open image sends the summary too: a chord part may never be counted."""
    with left_to_the_sweep(f"the summary of {batch_id}"):
        if is_resting(services.ledger, batch_id):
            graph.summarise(batch_id)


def refill(services: Services, batch_id: str, model: str) -> None:
    """Release more when the batch's share of the queue runs low."""
    with left_to_the_sweep(f"the next wave of {batch_id}"):
        graph.release_if_low(services, batch_id, model)
