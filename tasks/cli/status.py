"""``imagechord status``: where a batch stands now."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

import typer
from rich.markup import escape

from tasks import json_shapes, progress
from tasks.cli import options, wording
from tasks.cli.console import output, print_facts, print_json, print_next, print_table
from tasks.cli.finishing import next_command, open_ledger, print_refusal
from tasks.cli.wording import clock, counted, held_delivery, limit_notes, limits, money, time_left, webhook
from tasks.core.eta import BatchProgress
from tasks.core.going_on import command
from tasks.core.limits import format_rate
from tasks.core.states import State
from tasks.core.summary import BatchSummary, FailureGroup, Fallback
from tasks.ledger import holding, reading, summing
from tasks.ledger.engine import Ledger
from tasks.services import Services, current_services

_BEGUN = {"started", "cancelled"}


def status(
    batch: options.Batch = None,
    every: Annotated[bool, typer.Option("--all", help="List the batches of this ledger, the latest first.")] = False,
    json: options.Json = False,
) -> None:
    """Say how a batch stands, or list the batches.

    Pictures by state, pace, the limits in force, time left, cost, and what failed or waits, for which reason.

    Asks the ledger, so it needs neither broker nor worker.

    Examples:
        imagechord status
            The latest batch.
        imagechord status --all
            Every batch, the latest first.
        imagechord status spring --json
            Counts, pace, money, holds and reasons as data.

    Exit codes:
        0  It was found, however it stands.
        1, 2

    Environment:
        IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
    """
    services = current_services()
    ledger = open_ledger(services)
    if every:
        _list(services, ledger, json=json)
        return
    found = reading.find_batch(ledger, batch)
    summary = progress.summarise(services, found.id)
    going, held = progress.of_summary(services, summary), holding.holds(ledger, found.id)
    if json:
        print_json(json_shapes.of_status(found, summary, going, held))
        return
    if summary.phase == "refused":
        print_refusal(summary)
        return
    output.print(f"[bold]{escape(summary.name)}[/bold]  {escape(summary.batch_id)}")
    print_facts(_facts(services, summary, going))
    if summary.active:
        _print_models(going)
    for limit in summary.limits:
        for text in limit_notes(limit):
            output.print(f"  [yellow]{escape(limit.name)}[/yellow]: {escape(text)}")
    for hold in held:
        output.print(
            f"  [yellow]on hold[/yellow]: {escape(wording.hold(hold, services.settings.preferences.timezone))}"
        )
    for outage in summary.outages:
        output.print(f"  [red]{escape(held_delivery(outage, services.settings.preferences.timezone))}[/red]")
    for group in summary.failures:
        _print_reason(group, summary.batch_id)
    print_next(*next_command(summary))


def _facts(services: Services, summary: BatchSummary, going: BatchProgress) -> Iterator[tuple[str, str]]:
    preferences = services.settings.preferences
    if summary.phase == "planning":
        yield "Rows", "being read by a worker, or waiting for one"
        yield "Submitted", clock(summary.started_at, preferences.timezone)
        return
    yield "Pictures", f"{summary.published:,} of {summary.total:,} published"
    counts = [f"{summary.counts[state]:,} {state}" for state in State if summary.counts.get(state)]
    yield "States", ", ".join(counts) or "none"
    if summary.skipped_rows:
        yield "Skipped", counted(summary.skipped_rows, "row")
    if summary.reused:
        yield "Reused", counted(summary.reused, "picture")
    if summary.fallbacks:
        yield "Fallbacks", ", ".join(_fallback(each) for each in summary.fallbacks)
    if summary.active:
        yield "Time left", _time_left(going)
    else:
        yield "Models", ", ".join(summary.models)
    yield "Spent", _spent(summary, preferences.krw_per_usd)
    yield "Started", clock(summary.started_at, preferences.timezone)
    yield "Last move", clock(summary.ended_at, preferences.timezone)
    if summary.webhook is not None:
        yield "Webhook", webhook(summary.webhook)


def _fallback(fallback: Fallback) -> str:
    """``40 by seedream-5 instead of nano-banana-2 (38 published)``."""
    who = f"by {fallback.model} instead of {fallback.asked}"
    return f"{fallback.images:,} {who} ({fallback.published:,} published)"


def _spent(summary: BatchSummary, krw_per_usd: Decimal) -> str:
    spent = money(summary.spent_usd_micros, krw_per_usd) if summary.spent_usd_micros else "nothing"
    if not summary.unpriced:
        return spent
    return f"{spent} known; {', '.join(summary.unpriced)} without a price: no budget holds that"


def _time_left(going: BatchProgress) -> str:
    if going.eta_seconds is None:
        return "not known: nothing has been sent to a worker yet"
    pace = f", at {format_rate(going.pace_per_minute)} a minute" if going.pace_per_minute else ", by the limits"
    return time_left(going.eta_seconds) + pace


def _print_models(going: BatchProgress) -> None:
    print_table(
        ("Model", "Done", "Left", "Pace", "Time left", "Limits in force"),
        [
            (
                one.model,
                f"{one.done:,}",
                f"{one.left:,}",
                f"{format_rate(one.pace_per_minute)}/min",
                time_left(one.eta_seconds) if one.left else "–",
                limits(one.limit),
            )
            for one in going.models
        ],
        right=(1, 2, 3),
    )


def _print_reason(group: FailureGroup, batch_id: str) -> None:
    step = f" in {group.step}" if group.step else ""
    output.print(
        f"  [red]{group.count:,} {group.state}[/red] ({escape(group.error_class)}{step}): {escape(group.message)}"
    )
    output.print(f"      {escape(', '.join(group.example_keys))}")
    output.print(f"      {escape(command(group, batch_id) or 'goes on by itself in time')}")


def _list(services: Services, ledger: Ledger, *, json: bool) -> None:
    batches = [(row, summing.summarise(ledger, row.id)) for row in reading.list_batches(ledger, limit=100)]
    if json:
        print_json([json_shapes.of_summary(summary) | {"source": row.source} for row, summary in batches])
        return
    zone = services.settings.preferences.timezone
    print_table(
        ("Batch", "Started", "Published", "Failed", "Waiting", "Name"),
        [
            (
                row.id,
                clock(row.started_at, zone)[5:16],
                f"{summary.published:,}/{summary.total:,}" if summary.phase in _BEGUN else summary.phase,
                f"{summary.failed:,}",
                f"{summary.waiting:,}",
                row.name,
            )
            for row, summary in batches
        ],
        right=(2, 3, 4),
    )
    print_next("imagechord status BATCH", "the beginning of an id is enough")
