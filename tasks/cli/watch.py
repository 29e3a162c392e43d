"""``imagechord watch``: a batch's progress until it rests."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

import typer
from rich.console import RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from tasks import health, progress
from tasks.cli import options
from tasks.cli.console import errors, note
from tasks.cli.finishing import INTERRUPTED, open_ledger, say_going_on, say_goodbye, say_refused
from tasks.cli.wording import held_delivery, time_left
from tasks.core.errors import ImagechordError
from tasks.core.eta import BatchProgress
from tasks.core.limits import format_rate
from tasks.core.outages import Outage
from tasks.core.states import ENDED, WAITING, State
from tasks.devstack.stack import EmbeddedStack
from tasks.ledger import reading, summing
from tasks.services import Services, current_services

_POLL_SECONDS = 0.1
_PAUSE_PER_LOOK = 10
_SUMMARY_SECONDS = 3.0
_WORKER_CHECK_SECONDS = 5.0
_LINE_EVERY_SECONDS = 10.0

Counts = Mapping[State, int]


def watch(batch: options.Batch = None, json: options.Json = False) -> None:
    """Show a batch's progress until it rests.

    Then says goodbye as run does: summary, report, next command, exit code. Ctrl-C stops watching; the batch goes on.
    Asks the ledger only: any machine that reaches it can watch. Says so when no worker serves the batch.

    Examples:
        imagechord watch
            The latest batch.
        imagechord watch spring
            A batch by its name, or by the beginning of its id.

    Exit codes:
        0, 1, 2, 3, 130

    Environment:
        IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
    """
    services = current_services()
    batch_id = reading.find_batch(open_ledger(services), batch).id
    try:
        if not _planned(services, batch_id):
            raise typer.Exit(say_refused(services, batch_id, json=json))
        follow(services, batch_id)
    except KeyboardInterrupt:
        say_going_on(services, batch_id, json=json)
        raise typer.Exit(INTERRUPTED) from None
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
    told: set[tuple[str, datetime]] = set()
    with _shown(total) as shown:
        next_look, next_check = 0.0, time.monotonic() + _WORKER_CHECK_SECONDS
        while True:
            resting = summing.is_resting(services.ledger, batch_id)
            if resting or time.monotonic() > next_look:
                began = time.monotonic()
                going = progress.look(services, batch_id)
                shown.show(going)
                _tell_outages(services, going.outages, told)
                # Counting a large batch takes the database a while: leave it most of its time.
                next_look = time.monotonic() + _PAUSE_PER_LOOK * (time.monotonic() - began)
            if resting:
                break
            if time.monotonic() > next_check:
                _warn_without_worker(services, batch_id, stack)
                next_check = time.monotonic() + _WORKER_CHECK_SECONDS
            time.sleep(_POLL_SECONDS)
    _await_summary(services, batch_id)


def _tell_outages(services: Services, outages: Iterable[Outage], told: set[tuple[str, datetime]]) -> None:
    """Say once of each outage that pictures wait for it."""
    for outage in outages:
        if (outage.destination, outage.since) not in told:
            told.add((outage.destination, outage.since))
            note(held_delivery(outage, services.settings.preferences.timezone))


class _Shown(Protocol):
    def show(self, going: BatchProgress) -> None:
        """Bring what is seen up to date."""


@contextmanager
def _shown(total: int) -> Iterator[_Shown]:
    """A bar on a terminal; elsewhere a line now and then, so that a log shows that it lives."""
    if not errors.is_terminal:
        yield _Lines(total)
        return
    with _Bar(total) as bar:
        yield bar


class _Bar(Progress):
    """One line that fits a narrow terminal: bar, count, time, pace, time left; below it, where the pictures are."""

    def __init__(self, total: int) -> None:
        self._states = ""
        count = TextColumn("{task.completed:,.0f}/{task.total:,.0f}")
        columns = (BarColumn(bar_width=None), count, TimeElapsedColumn())
        super().__init__(*columns, TextColumn("{task.fields[pace]}", markup=False), console=errors, expand=True)
        self._task = self.add_task("", total=total, pace="")

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        yield Padding(Text(self._states, style="dim", no_wrap=True, overflow="ellipsis"), (0, 0, 0, 1))

    def show(self, going: BatchProgress) -> None:
        self._states = _states(going.counts)
        self.update(self._task, completed=_done(going.counts), pace=_pace(going))


class _Lines:
    def __init__(self, total: int) -> None:
        self._total = total
        self._next = time.monotonic() + _LINE_EVERY_SECONDS

    def show(self, going: BatchProgress) -> None:
        done = _done(going.counts)
        if done == self._total or time.monotonic() > self._next:
            self._next = time.monotonic() + _LINE_EVERY_SECONDS
            told = "; ".join(part for part in (_pace(going), _states(going.counts)) if part)
            errors.print(f"{done:,}/{self._total:,} pictures" + (f"  {told}" if told else ""), markup=False)


def _done(counts: Counts) -> int:
    return sum(count for state, count in counts.items() if state in ENDED | WAITING)


def _states(counts: Counts) -> str:
    return ", ".join(f"{counts[s]:,} {s}" for s in State if counts.get(s) and s is not State.PUBLISHED)


def _pace(going: BatchProgress) -> str:
    """``290/min, about 12 min left``; empty when nothing is under way."""
    if not any(model.left for model in going.models):
        return ""
    left = "time left not known" if going.eta_seconds is None else f"{time_left(going.eta_seconds)} left"
    return f"{format_rate(going.pace_per_minute)}/min, {left}"


def _await_summary(services: Services, batch_id: str) -> None:
    deadline = time.monotonic() + _SUMMARY_SECONDS
    while summing.sent_message(services.ledger, batch_id) is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _warn_without_worker(services: Services, batch_id: str, stack: EmbeddedStack | None) -> None:
    """Never hang silently: name the queues nobody serves, and the command that mends it."""
    if stack is not None and stack.exited:
        raise ImagechordError(
            "the worker has stopped. Mend what the end of its log says, then: imagechord resume "
            f"{batch_id} (nothing is bought twice). {stack.log}:\n{stack.last_words()}"
        )
    idle = health.unserved_queues(services, reading.batch_models(services.ledger, batch_id))
    if idle:
        mend = "celery -A tasks worker" if services.settings.redis_url else "imagechord run, with the same rows"
        note(f"no worker serves {', '.join(idle)}; start one: {mend}")
