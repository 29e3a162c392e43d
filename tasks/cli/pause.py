"""``imagechord pause``: stop buying and delivering."""

from __future__ import annotations

from tasks import control
from tasks.cli import options
from tasks.cli.working import batch_to_change, say_stopped
from tasks.services import current_services


def pause(batch: options.Batch = None, json: options.Json = False) -> None:
    """Stop buying and delivering, until imagechord resume.

    Calls in flight are finished, since they are paid; nothing new is bought from the moment this command returns. It
    writes into the ledger only, so it works from a second terminal, also while 'imagechord run' is watching.

    Examples:
        imagechord pause
            The latest batch.
        imagechord pause spring
            A batch by its name, or by the beginning of its id.

    Exit codes:
        0  It is paused.
        1, 2

    Environment:
        IMAGECHORD_REDIS_URL, REDIS_URL, IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
    """
    services = current_services()
    batch_id = batch_to_change(services, batch)
    control.pause(services.ledger, batch_id)
    say_stopped(services, batch_id, "paused", json=json)
