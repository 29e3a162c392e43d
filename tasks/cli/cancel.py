"""``imagechord cancel``: end a batch."""

from __future__ import annotations

from tasks import control
from tasks.cli import options
from tasks.cli.working import batch_to_change, say_stopped
from tasks.services import current_services


def cancel(batch: options.Batch = None, json: options.Json = False) -> None:
    """End a batch: nothing more is bought or delivered.

    Calls in flight are finished, since they are paid; their pictures are kept, and running the rows again (or
    'imagechord retry --only cancelled') does not buy them again. Works from a second terminal, as pause does.

    Examples:
        imagechord cancel
            The latest batch.
        imagechord cancel b-261122
            A batch by the beginning of its id.

    Exit codes:
        0  It is cancelled.
        1, 2

    Environment:
        IMAGECHORD_REDIS_URL, REDIS_URL, IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
    """
    services = current_services()
    batch_id = batch_to_change(services, batch)
    control.cancel(services.ledger, batch_id)
    say_stopped(services, batch_id, "cancelled", json=json)
