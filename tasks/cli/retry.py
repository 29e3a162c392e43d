"""``imagechord retry``: do again what has failed."""

from __future__ import annotations

from typing import Annotated

import typer

from tasks import retrying
from tasks.cli import completing, options
from tasks.cli.console import note
from tasks.cli.wording import counted
from tasks.cli.working import batch_to_change, go_on, say_nothing_to_do
from tasks.core.errors import InputError
from tasks.core.selection import Edit, Selection
from tasks.services import current_services

Only = Annotated[
    str | None,
    typer.Option(
        "--only",
        metavar="CLASS",
        help="Those of one state (failed, refused, unknown, cancelled) or error class, as in imagechord status.",
        autocompletion=completing.retryable,
    ),
]
Edits = Annotated[
    list[str] | None,
    typer.Option("--edit", metavar="WHAT=NAME", help="template=NAME or model=ALIAS for these; may be repeated."),
]


def retry(  # noqa: PLR0913, PLR0917 – one parameter per option
    batch: options.Batch = None,
    only: Only = None,
    sku: options.Skus = None,
    edit: Edits = None,
    rehearse_delivery: options.RehearseDelivery = False,
    allow_unpriced: options.AllowUnpriced = False,
    json: options.Json = False,
) -> None:
    """Do again what has failed, was refused, or whose outcome is not known.

    Pictures that are bought are delivered, not bought again. One whose outcome is not known may be paid a second time:
    look at the provider's own records first. --only cancelled takes a cancellation back.

    With --edit the pictures are planned anew from their rows, by another template (or the same one, reworded since) or
    with another model. What they were before stays in imagechord show.

    With REDIS_URL set your workers do it; without, it brings a worker and sees the batch through, as run does.

    Examples:
        imagechord retry
            Everything of the latest batch that failed, was refused or is unknown.
        imagechord retry --only refused --edit template=lifestyle
            What a content policy refused, with another template.
        imagechord retry spring --sku MUG-001 --edit model=seedream-5
            One picture, with another model.
        imagechord retry --only cancelled
            Take a cancellation back.

    Exit codes:
        0  Every picture is published, or your workers go on with them.
        1, 2, 3, 130

    Environment:
        IMAGECHORD_REDIS_URL, REDIS_URL, IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
    """
    services = current_services()
    batch_id = batch_to_change(services, batch)
    done = retrying.retry(
        services,
        batch_id,
        Selection.of(only, sku),
        _edit(edit),
        rehearse_delivery=rehearse_delivery,
        allow_unpriced=allow_unpriced,
    )
    if not done.images:
        say_nothing_to_do(services, batch_id, "nothing of that kind has failed", json=json)
        return
    if done.uncertain:
        note(f"of {done.uncertain:,} it is not known whether they were paid; they may be paid a second time")
    result = {"images": done.images, "uncertain": done.uncertain}
    go_on(services, batch_id, f"{batch_id}: {counted(done.images, 'picture')} tried again", result, json=json)


def _edit(edits: list[str] | None) -> Edit | None:
    pairs = [each.partition("=") for each in edits or []]
    if bad := [name for name, sign, _value in pairs if not sign]:
        raise InputError(f"--edit {bad[0]!r} is not WHAT=NAME; write it like --edit template=product")
    return Edit.of((name, value) for name, _sign, value in pairs)
