"""``imagechord watch``: a batch's progress until it rests."""

from __future__ import annotations

import time
from datetime import timedelta

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tasks.cli import options
from tasks.cli.console import errors
from tasks.cli.finishing import say_goodbye
from tasks.core import routing
from tasks.core.states import ENDED, WAITING, State
from tasks.devstack.worker import EmbeddedWorker
from tasks.ledger import leases, reading, summing
from tasks.services import Services, current_services

_POLL_SECONDS = 0.1
_SUMMARY_SECONDS = 3.0
_WORKER_CHECK_SECONDS = 5.0


def watch(batch: options.Batch = None) -> None:
    """Show a batch's progress until it rests; Ctrl-C stops watching, the batch goes on."""
    services = current_services()
    batch_id = reading.find_batch(services.ledger, batch).id
    try:
        follow(services, batch_id)
    except KeyboardInterrupt:
        errors.print(f"\nNo longer watching; {batch_id} goes on. Again: imagechord watch {batch_id}")
        raise
    raise typer.Exit(say_goodbye(services, batch_id))


def follow(services: Services, batch_id: str, worker: EmbeddedWorker | None = None) -> None:
    """Draw the progress bar until the batch rests and its summary was sent (or Slack had its three seconds)."""
    total = reading.find_batch(services.ledger, batch_id).total
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[detail]}"), console=errors) as progress:
        bar = progress.add_task("pictures", total=total, detail="")
        next_check = time.monotonic() + _WORKER_CHECK_SECONDS
        while True:
            counts = reading.state_counts(services.ledger, batch_id)
            progress.update(bar, completed=_done(counts), detail=_detail(counts))
            if summing.is_resting(services.ledger, batch_id):
                break
            if time.monotonic() > next_check:
                _warn_without_worker(services, batch_id, worker)
                next_check = time.monotonic() + _WORKER_CHECK_SECONDS
            time.sleep(_POLL_SECONDS)
    _await_summary(services, batch_id)


def _done(counts: dict[State, int]) -> int:
    return sum(count for state, count in counts.items() if state in ENDED | WAITING)


def _detail(counts: dict[State, int]) -> str:
    shown = [state for state in State if counts.get(state) and state is not State.PUBLISHED]
    return escape(", ".join(f"{counts[state]:,} {state}" for state in shown))


def _await_summary(services: Services, batch_id: str) -> None:
    deadline = time.monotonic() + _SUMMARY_SECONDS
    while summing.sent_message(services.ledger, batch_id) is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _warn_without_worker(services: Services, batch_id: str, worker: EmbeddedWorker | None) -> None:
    """Never hang silently: name the queues nobody serves, and the command that mends it."""
    if worker is not None and worker.exited:
        errors.print(f"[red]the worker has stopped; the end of its log {worker.log}:[/red]\n{worker.last_words()}")
        raise typer.Exit(1)
    for queue in unserved_queues(services, reading.batch_models(services.ledger, batch_id)):
        errors.print(f"[yellow]no worker serves the queue {queue}[/yellow]; start one: celery -A tasks worker")


def unserved_queues(services: Services, models: list[str]) -> list[str]:
    """Queues that pictures of these models need and no living worker consumes."""
    expires = timedelta(seconds=services.settings.preferences.heartbeat_expires_seconds)
    live = leases.live_queues(services.ledger, expires)
    needed = [*map(routing.model_queue, models), routing.DELIVER_QUEUE, routing.CONTROL_QUEUE]
    return [queue for queue in needed if queue not in live]
