"""``imagechord pause``: stop buying and delivering."""

from __future__ import annotations

from tasks.cli import options
from tasks.cli.finishing import open_ledger
from tasks.cli.working import say_stopped
from tasks.core.errors import InputError
from tasks.ledger import holding, reading, summing
from tasks.services import current_services


def pause(batch: options.Batch = None, json: options.Json = False) -> None:
    """Stop buying and delivering, until imagechord resume.

    Calls in flight are finished, since they are paid; nothing new is bought from the moment this command returns. It
    writes into the ledger only, so it works from a second terminal, also while 'imagechord run' is watching.
    """
    services = current_services()
    batch_id = reading.find_batch(open_ledger(services), batch).id
    summary = summing.summarise(services.ledger, batch_id)
    if summary.phase in {"refused", "cancelled"} or not (
        summary.active or summary.waiting or summary.phase == "planning"
    ):
        raise InputError(
            f"{batch_id} is over, so there is nothing to pause; imagechord status {batch_id} tells its end"
        )
    holding.pause(services.ledger, batch_id)
    say_stopped(services, batch_id, "paused", json=json)
