"""``imagechord show``: one picture's history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from tasks import json_shapes
from tasks.cli import completing, options
from tasks.cli.console import output, print_facts, print_json, print_next, print_table
from tasks.cli.finishing import open_ledger
from tasks.cli.wording import clock
from tasks.core.errors import InputError
from tasks.core.money import format_usd
from tasks.core.rolling_back import as_text
from tasks.core.views import ImageView
from tasks.ledger import reading
from tasks.ledger.reading import AttemptRow, RevisionRow
from tasks.services import current_services


def show(
    sku: Annotated[
        str, typer.Argument(metavar="SKU", help="Key of the row, as in its column.", autocompletion=completing.skus)
    ],
    batch: Annotated[
        str | None,
        typer.Option(
            "--batch",
            metavar="BATCH",
            help="Batch id, its beginning, or its name; default: the latest.",
            autocompletion=completing.batches,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Tell one picture's history: calls, cost, prompt, URL.

    Its state, every paid call with its outcome and cost, the prompt, the public URL, the CMS's receipt, and what it was
    before each retry or fallback.

    A row with variants has several pictures; all are shown. Looks in the latest batch unless --batch names another.

    Examples:
        imagechord show MUG-001
            The picture of this key in the latest batch.
        imagechord show MUG-001 --batch spring
            The same in a batch called spring.

    Exit codes:
        0  It was found, however it stands.
        1, 2

    Environment:
        IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
    """
    services = current_services()
    ledger = open_ledger(services)
    found = reading.find_batch(ledger, batch)
    images = list(reading.images(ledger, found.id, key=sku))
    if not images:
        skipped = f"; {found.skipped:,} of its rows were skipped" if found.skipped else ""
        raise InputError(f"no picture {sku!r} in {found.id} ({found.name}){skipped}. imagechord export lists them all")
    calls, before = reading.attempts(ledger, found.id, sku), reading.revisions(ledger, found.id, sku)
    if json:
        print_json(
            {
                "batch": found.id,
                "pictures": [json_shapes.of_image(image) for image in images],
                "calls": [_call_as_json(call) for call in calls],
                "retried": [_revision_as_json(revision) for revision in before],
            }
        )
        return
    zone = services.settings.preferences.timezone
    for image in images:
        _print_image(image, zone)
    if calls:
        print_table(
            ("Call", "Model", "Started", "Outcome", "Cost"), [_call(call, zone) for call in calls], right=(0, 4)
        )
    _print_messages(calls)
    for revision in before:
        output.print(_revision(revision, zone), markup=False)
    print_next(f"imagechord report {found.id}", "the whole batch as a contact sheet")


def _print_image(image: ImageView, zone: str) -> None:
    variant = f", variant {image.variant}" if image.variant > 1 else ""
    output.print(f"[bold cyan]{escape(image.key)}[/bold cyan]{variant}: [bold]{image.state}[/bold]")
    print_facts(_facts(image, zone))
    # A URL is for copying: it stays on one line, however long.
    if image.public_url:
        output.print(f"  {escape(image.public_url)}")


def _facts(image: ImageView, zone: str) -> Iterator[tuple[str, str]]:
    if image.error_class:
        step = f" in {image.error_step}" if image.error_step else ""
        yield "Error", f"{image.error_class}{step}: {image.error_message or ''}"
    yield "Row", ", ".join(f"{column}={value}" for column, value in image.row.items()) + f" (line {image.line})"
    instead = f" instead of {image.asked_model}" if image.asked_model else ""
    yield "Model", f"{image.model}{instead}, template {image.template}, {image.size}"
    yield "Prompt", image.prompt
    if image.references:
        yield "Starts from", ", ".join(image.references)
    reused = ", bought before" if image.reused else ""
    yield "Cost", (format_usd(image.cost_usd_micros) if image.cost_usd_micros else "nothing") + reused
    yield "Planned", clock(image.created_at, zone)
    yield "Published", clock(image.published_at, zone)
    if image.cms_receipt:
        yield "CMS", image.cms_receipt
    if image.replaced is not None:
        yield "Replaced", as_text(image.replaced)
    if image.rolled_back_at is not None:
        yield "Rolled back", clock(image.rolled_back_at, zone)
    yield "Fingerprint", image.fingerprint[:16]


def _call(call: AttemptRow, zone: str) -> tuple[str, ...]:
    took = "" if call.ended_at is None else f" +{(call.ended_at - call.started_at).total_seconds():.1f} s"
    cost = "not known" if call.cost_usd_micros is None else format_usd(call.cost_usd_micros)
    return str(call.number), call.model, clock(call.started_at, zone) + took, call.outcome or "under way", cost


def _print_messages(calls: list[AttemptRow]) -> None:
    for call in calls:
        if call.message:
            trace = f" [{call.trace_id}]" if call.trace_id else ""
            output.print(f"  call {call.number}: {call.message}{trace}", markup=False)


def _revision(was: RevisionRow, zone: str) -> str:
    """What a picture was before a retry or a fallback, in one line."""
    variant = f", variant {was.variant}" if was.variant > 1 else ""
    why = ": ".join(text for text in (was.error_class, was.error_message) if text)
    made = f"{was.model}, template {was.template}"
    then = f"went on with {was.fell_back_to}" if was.fell_back_to else "tried again"
    return f"  round {was.round}{variant}: {was.state} with {made} ({why}); {then} {clock(was.retried_at, zone)}"


def _revision_as_json(was: RevisionRow) -> json_shapes.Data:
    return asdict(was) | {"retried_at": json_shapes.moment(was.retried_at)}


def _call_as_json(call: AttemptRow) -> json_shapes.Data:
    return {
        "number": call.number,
        "model": call.model,
        "started_at": json_shapes.moment(call.started_at),
        "ended_at": json_shapes.moment(call.ended_at),
        "outcome": call.outcome,
        "message": call.message,
        "trace_id": call.trace_id,
        "cost_usd_micros": call.cost_usd_micros,
    }
