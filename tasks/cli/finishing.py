"""How a command that has seen a batch end says goodbye: summary, report, next command, exit code."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from tasks.cli.console import output
from tasks.core.summary import BatchSummary
from tasks.delivery.slack_messages import finished
from tasks.delivery.slack_text import as_text
from tasks.ledger import reading, summing
from tasks.report.contact_sheet import write_contact_sheet
from tasks.services import Services

PUBLISHED, WITH_FAILURES, WAITING = 0, 1, 3


def write_report(services: Services, batch_id: str) -> Path:
    """Write the contact sheet under IMAGECHORD_OUTPUT and return its first page."""
    preferences = services.settings.preferences
    ledger = services.ledger
    path = services.settings.output / "reports" / batch_id / "index.html"
    write_contact_sheet(
        path,
        summing.summarise(ledger, batch_id, services.report_url(batch_id)),
        reading.images(ledger, batch_id, thumbnails=True),
        reading.skipped_rows(ledger, batch_id),
        language=preferences.language,
        timezone=preferences.timezone,
    )
    return path


def exit_code(summary: BatchSummary) -> int:
    """0 all published, 1 finished with failures, 3 waiting for a person."""
    if summary.waiting:
        return WAITING
    return WITH_FAILURES if summary.failed else PUBLISHED


def say_goodbye(services: Services, batch_id: str) -> int:
    """Print the Slack summary, the report's path and the next sensible command; returns the exit code."""
    preferences = services.settings.preferences
    summary = summing.summarise(services.ledger, batch_id, services.report_url(batch_id))
    message = finished(summary, language=preferences.language, timezone=preferences.timezone)
    said = summing.sent_message(services.ledger, batch_id)
    output.print()
    output.print(escape(as_text(message)))
    if said is not None and said["error"]:
        output.print(f"[yellow]Slack did not take the summary:[/yellow] {escape(said['error'])}")
    output.print()
    output.print(f"Report: {escape(str(write_report(services, batch_id)))}")
    output.print(f"Next:   {_next_command(summary)}")
    return exit_code(summary)


def _next_command(summary: BatchSummary) -> str:
    if summary.waiting:
        return f"imagechord status {summary.batch_id}   (says what waits, and for whom)"
    if summary.failed or summary.skipped_rows:
        return f"imagechord export {summary.batch_id} --failed --output failed.csv   (mend it, run it again)"
    return f"imagechord export {summary.batch_id} --output manifest.csv"
