"""How a command that has seen a batch end says goodbye: summary, report, next command, exit code."""

from __future__ import annotations

from collections.abc import Mapping

from rich.markup import escape

from tasks import json_shapes, progress
from tasks.cli.console import errors, note, output, print_json, print_next
from tasks.core.errors import InputError
from tasks.core.going_on import command, first_to_tell, waits_for, worth_retrying
from tasks.core.holds import Reason
from tasks.core.states import State
from tasks.core.summary import BatchSummary
from tasks.delivery.slack_messages import finished
from tasks.delivery.slack_text import as_text
from tasks.ledger import summing
from tasks.ledger.engine import Ledger
from tasks.reporting import write_report
from tasks.services import Services

PUBLISHED, WITH_FAILURES, REFUSED, WAITING, INTERRUPTED = 0, 1, 2, 3, 130

_SHOWN_PROBLEMS = 50

_MENDED = "when what the reason names is mended; nothing is bought twice"
_LATER = "it goes on by itself in time"
_WHY: Mapping[str, str] = {
    Reason.PAUSED: "goes on where it was paused",
    Reason.BUDGET: "goes on with more money",
    Reason.PUBLISH: "when you have looked at the report",
    State.UNKNOWN: "buys again what may have been paid; look at the provider's records first",
}


def open_ledger(services: Services) -> Ledger:
    """The ledger, for commands that only read it: none is made. Raises InputError where there is none yet."""
    if not services.ledger_exists():
        raise InputError(
            f"there is no ledger yet in {services.settings.home}; run imagechord in the folder where the batch "
            "was started, set IMAGECHORD_HOME, or start a first batch: imagechord run"
        )
    return services.ledger


def exit_code(summary: BatchSummary) -> int:
    """0 all published, 1 finished with failures, 3 waiting for a person (perhaps with calls still in flight)."""
    if summary.waiting or summary.active:
        return WAITING
    return WITH_FAILURES if summary.failed else PUBLISHED


def say_goodbye(services: Services, batch_id: str, *, json: bool = False) -> int:
    """Print the Slack summary, the report's path and the next sensible command; returns the exit code."""
    summary = progress.summarise(services, batch_id)
    report = write_report(services, batch_id)
    said = summing.sent_message(services.ledger, batch_id)
    if said is not None and said["error"]:
        note(f"Slack did not take the summary: {said['error']}")
    if json:
        print_json(json_shapes.of_summary(summary) | {"report": str(report), "exit_code": exit_code(summary)})
        return exit_code(summary)
    preferences = services.settings.preferences
    message = finished(summary, language=preferences.language, timezone=preferences.timezone)
    output.print(f"\n{escape(as_text(message))}\n")
    output.print(f"[bold]Report:[/bold] {escape(str(report))}")
    print_next(*next_command(summary))
    return exit_code(summary)


def say_refused(services: Services, batch_id: str, *, json: bool = False) -> int:
    """Print why a worker could not start the batch, and what to do; returns the exit code."""
    summary = summing.summarise(services.ledger, batch_id)
    if json:
        print_json(json_shapes.of_summary(summary) | {"exit_code": REFUSED})
    else:
        print_refusal(summary)
    return REFUSED


def print_refusal(summary: BatchSummary) -> None:
    """Why the batch was refused, and what to do."""
    reason, *problems = summary.problems
    output.print(f"[bold]{escape(summary.name)}[/bold]  {escape(summary.batch_id)}")
    output.print(f"[red bold]refused:[/red bold] {escape(reason)}")
    for problem in problems[:_SHOWN_PROBLEMS]:
        output.print(f"  [red]•[/red] {escape(problem)}")
    if len(problems) > _SHOWN_PROBLEMS:
        output.print(f"  … and more; imagechord status {summary.batch_id} --json lists them", markup=False)
    print_next("mend it and submit it again", "nothing was started or bought; its idempotency key is free")


def next_command(summary: BatchSummary) -> tuple[str, str]:
    """What a person would do next about a batch, and why."""
    batch_id = summary.batch_id
    if summary.phase == "planning" or summary.active:
        why = "a worker is to read its rows" if summary.phase == "planning" else "it is under way"
        return f"imagechord watch {batch_id}", why
    if (waits := first_to_tell(summary)) is not None:
        wanted = command(waits, batch_id)
        return (wanted, _WHY.get(waits_for(waits), _MENDED)) if wanted else (f"imagechord status {batch_id}", _LATER)
    if summary.phase == "cancelled":
        return f"imagechord retry {batch_id} --only cancelled", "takes it back; what was bought is not bought again"
    if worth_retrying(summary):
        return f"imagechord retry {batch_id}", "tries again what failed; what was bought is not bought again"
    if summary.failed or summary.skipped_rows:
        return f"imagechord export {batch_id} --failed --output failed.csv", "mend it, run it again"
    return f"imagechord export {batch_id} --output manifest.csv", "every picture with its URL"


def say_interrupted(services: Services, batch_id: str) -> None:
    """As data, where a batch stands at the moment in which somebody stops waiting for it."""
    print_json(json_shapes.of_summary(summing.summarise(services.ledger, batch_id)) | {"exit_code": INTERRUPTED})


def say_going_on(services: Services, batch_id: str, *, json: bool = False) -> None:
    """Watching was stopped, the batch was not."""
    if json:
        say_interrupted(services, batch_id)
        return
    errors.print(f"\nNo longer watching; {batch_id} goes on.", markup=False)
    print_next(f"imagechord watch {batch_id}")
