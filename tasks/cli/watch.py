"""``imagechord watch``: a batch's progress until it rests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tasks import health
from tasks.cli import options
from tasks.cli.console import errors, note
from tasks.cli.finishing import open_ledger, say_going_on, say_goodbye, say_refused
from tasks.core.states import ENDED, WAITING, State
from tasks.devstack.stack import EmbeddedStack
from tasks.ledger import reading, summing
from tasks.services import Services, current_services

_POLL_SECONDS = 0.1
_SUMMARY_SECONDS = 3.0
_WORKER_CHECK_SECONDS = 5.0
_LINE_EVERY_SECONDS = 10.0
_INTERRUPTED = 130

Counts = Mapping[State, int]


def watch(batch: options.Batch = None, json: options.Json = False) -> None:
    """Show a batch's progress until it rests.

    Then says goodbye as run does: summary, report, next command, exit code. Ctrl-C stops watching; the batch goes on.
    Asks the ledger only: any machine that reaches it can watch. Says so when no worker serves the batch.
    """
    services = current_services()
    batch_id = reading.find_batch(open_ledger(services), batch).id
    try:
        if not _planned(services, batch_id):
            raise typer.Exit(say_refused(services, batch_id, json=json))
        follow(services, batch_id)
    except KeyboardInterrupt:
        say_going_on(batch_id)
        raise typer.Exit(_INTERRUPTED) from None
    raise typer.Exit(say_goodbye(services, batch_id, json=json))


def _planned(services: Services, batch_id: str) -> bool:
    """Wait until a worker has planned the batch; whether it has started, or was refused."""
    next_check = time.monotonic() + _WORKER_CHECK_SECONDS
    while (phase := reading.phase_of(services.ledger, batch_id)) == "planning":
        if time.monotonic() > next_check:
            errors.print("a worker is to read the rows", markup=False)
            _warn_without_worker(services, batch_id, None)
            next_check = time.monotonic() + _LINE_EVERY_SECONDS
        time.sleep(_POLL_SECONDS)
    return phase != "refused"


def follow(services: Services, batch_id: str, stack: EmbeddedStack | None = None) -> None:
    """Show progress until the batch rests and its summary was sent (or Slack had its three seconds)."""
    total = reading.find_batch(services.ledger, batch_id).total
    with _progress(total) as progress:
        next_check = time.monotonic() + _WORKER_CHECK_SECONDS
        while True:
            progress.show(reading.state_counts(services.ledger, batch_id))
            if summing.is_resting(services.ledger, batch_id):
                break
            if time.monotonic() > next_check:
                _warn_without_worker(services, batch_id, stack)
                next_check = time.monotonic() + _WORKER_CHECK_SECONDS
            time.sleep(_POLL_SECONDS)
    _await_summary(services, batch_id)


class _Shown(Protocol):
    def show(self, counts: Counts) -> None:
        """Bring what is seen up to date."""


@contextmanager
def _progress(total: int) -> Iterator[_Shown]:
    """A bar on a terminal; elsewhere a line now and then, so that a log shows that it lives."""
    if not errors.is_terminal:
        yield _Lines(total)
        return
    columns = (TextColumn("pictures"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[detail]}", markup=False), console=errors) as progress:
        yield _Bar(progress, total)


class _Bar:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total, detail="")

    def show(self, counts: Counts) -> None:
        self._progress.update(self._task, completed=_done(counts), detail=_detail(counts))


class _Lines:
    def __init__(self, total: int) -> None:
        self._total = total
        self._next = time.monotonic() + _LINE_EVERY_SECONDS

    def show(self, counts: Counts) -> None:
        done = _done(counts)
        if done == self._total or time.monotonic() > self._next:
            self._next = time.monotonic() + _LINE_EVERY_SECONDS
            detail = f"  {_detail(counts)}" if _detail(counts) else ""
            errors.print(f"{done:,}/{self._total:,} pictures{detail}", markup=False)


def _done(counts: Counts) -> int:
    return sum(count for state, count in counts.items() if state in ENDED | WAITING)


def _detail(counts: Counts) -> str:
    return ", ".join(f"{counts[s]:,} {s}" for s in State if counts.get(s) and s is not State.PUBLISHED)


def _await_summary(services: Services, batch_id: str) -> None:
    deadline = time.monotonic() + _SUMMARY_SECONDS
    while summing.sent_message(services.ledger, batch_id) is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _warn_without_worker(services: Services, batch_id: str, stack: EmbeddedStack | None) -> None:
    """Never hang silently: name the queues nobody serves, and the command that mends it."""
    if stack is not None and stack.exited:
        errors.print(f"[red]error:[/red] the worker has stopped; the end of its log {stack.log}:")
        errors.print(stack.last_words(), markup=False)
        raise typer.Exit(1)
    idle = health.unserved_queues(services, reading.batch_models(services.ledger, batch_id))
    if idle:
        mend = "celery -A tasks worker" if services.settings.redis_url else "imagechord run, with the same rows"
        note(f"no worker serves {', '.join(idle)}; start one: {mend}")
