"""``imagechord resume``: go on with what was paused or held."""

from __future__ import annotations

from typing import Annotated

import typer

from tasks import control
from tasks.cli import options
from tasks.cli.wording import counted
from tasks.cli.working import batch_to_change, go_on, say_nothing_to_do
from tasks.core.money import usd_micros
from tasks.ledger import summing
from tasks.services import current_services

Budget = Annotated[
    str | None,
    typer.Option(
        "--budget", metavar="USD", help="The batch's new budget in US dollars, what is spent already included."
    ),
]


def resume(batch: options.Batch = None, budget: Budget = None, json: options.Json = False) -> None:
    """Go on with what was paused or held.

    Mend first what the reasons in imagechord status name: a budget, a key, a full disk. What is bought already is not
    bought again. Pictures that wait for a look go on with imagechord publish, failed ones with imagechord retry.

    With REDIS_URL set your workers go on; without, it brings a worker and sees the batch through, as run does.

    Examples:
        imagechord resume
            What the latest batch waits for is mended: go on.
        imagechord resume spring --budget 20
            Go on with twenty dollars, what is spent already included.

    Exit codes:
        0  Every picture is published, or your workers go on with them.
        1, 2, 3, 130

    Environment:
        IMAGECHORD_REDIS_URL, REDIS_URL, IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
    """
    services = current_services()
    batch_id = batch_to_change(services, batch)
    images = control.resume(services.ledger, batch_id, None if budget is None else usd_micros(budget))
    summary = summing.summarise(services.ledger, batch_id)
    if not summary.active and summary.phase != "planning":
        say_nothing_to_do(services, batch_id, "nothing waits to be resumed", json=json)
        return
    told = f"{batch_id} goes on: {counted(images, 'picture')} waited, {summary.active:,} to do"
    go_on(services, batch_id, told, {"images": images}, json=json)
