"""What follows when an image moves on: room in its model's queue, or a batch that rests."""

from __future__ import annotations

import threading
from time import monotonic

from tasks import graph
from tasks.ledger.summing import is_resting
from tasks.services import Services

_CHECK_EVERY_SECONDS = 0.2
_checked_at: dict[tuple[str, str], float] = {}
_lock = threading.Lock()


def announce_if_resting(services: Services, batch_id: str) -> None:
    """The move that ends a batch's last open image sends the summary too: a chord part may never be counted."""
    if is_resting(services.ledger, batch_id):
        graph.summarise(batch_id)


def refill(services: Services, batch_id: str, model: str) -> None:
    """Release more when the batch's share of the queue runs low; looks at most five times a second."""
    now = monotonic()
    with _lock:
        if now - _checked_at.get((batch_id, model), 0.0) < _CHECK_EVERY_SECONDS:
            return
        _checked_at[batch_id, model] = now
    graph.release_if_low(services, batch_id, model)
