"""Seeing a batch through: on your workers, or on an embedded stack of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from tasks import health, json_shapes
from tasks.cli import wording
from tasks.cli.console import errors, note, output, print_json, print_next
from tasks.cli.finishing import INTERRUPTED, next_command, open_ledger, say_goodbye, say_interrupted
from tasks.cli.wording import counted
from tasks.cluster import require_same_ledger
from tasks.core.states import State
from tasks.devstack.stack import EmbeddedStack
from tasks.ledger import events, reading, summing
from tasks.services import Services

_POLL_SECONDS = 0.1
_SILENCE_SECONDS = 15.0
"""A webhook that takes nothing for so long need not be waited for."""


def batch_to_change(services: Services, batch: str | None) -> str:
    """The id of the batch that a command is about to change.

    Raises InputError when there is none or several, ConfigurationError when the workers go by another ledger.
    """
    ledger = open_ledger(services)
    require_same_ledger(services)
    return reading.find_batch(ledger, batch).id


def see_through(services: Services, batch_id: str, *, json: bool, again: str = "the same command") -> int:
    """Tell the workers to go on with the batch, watch it, say goodbye; returns the exit code.

    ``again`` is the command that goes on after Ctrl-C.
    """
    embedded = services.settings.redis_url is None
    try:
        with _stack(services) as stack:
            # While the worker boots: Celery is half of what there is to import.
            from tasks.batches import start
            from tasks.cli.watch import follow

            start(batch_id)
            follow(services, batch_id, stack)
            if stack is not None:
                _let_it_tell(services, batch_id, stack)
                stack.ask_to_stop()
            return say_goodbye(services, batch_id, json=json)
    except KeyboardInterrupt:
        if json:
            say_interrupted(services, batch_id)
        else:
            _say_interrupted(batch_id, again, embedded=embedded)
        return INTERRUPTED


def _let_it_tell(services: Services, batch_id: str, stack: EmbeddedStack) -> None:
    """Wait until the batch's webhook has heard everything, as long as it listens: the worker goes with the command."""
    left, heard_at = 0, time.monotonic()
    while (standing := events.standing(services.ledger, batch_id)) is not None and standing.untold:
        if standing.untold != left:
            left, heard_at = standing.untold, time.monotonic()
        if standing.error is not None or stack.exited or time.monotonic() > heard_at + _SILENCE_SECONDS:
            note(f"webhook: {wording.webhook(standing)}; the next worker goes on with that")
            return
        time.sleep(_POLL_SECONDS)


def go_on(services: Services, batch_id: str, told: str, result: json_shapes.Data, *, json: bool) -> None:
    """After a change in the ledger that lets pictures go on: say it, and have your workers do them.

    Without a broker of yours a worker is brought, and the batch seen through, as ``run`` does: raises typer.Exit.
    """
    errors.print(told, markup=False)
    if services.settings.redis_url is None:
        raise typer.Exit(see_through(services, batch_id, json=json, again=f"imagechord resume {batch_id}"))
    from tasks.batches import start

    start(batch_id)
    idle = health.unserved_queues(services, reading.batch_models(services.ledger, batch_id))
    if idle:
        note(f"no worker serves {', '.join(idle)}; the batch waits until you start one: celery -A tasks worker")
    if json:
        print_json({"batch": batch_id, **result, "unserved_queues": idle})
        return
    output.print(batch_id)
    print_next(f"imagechord watch {batch_id}")


def say_stopped(services: Services, batch_id: str, what: str, *, json: bool) -> None:
    """After a batch was paused or cancelled: what that has come to, and how it goes on."""
    if services.settings.redis_url is not None:
        from tasks.batches import start

        start(batch_id)  # a batch that rests now is summarised at once, not by the next sweep
    summary = summing.summarise(services.ledger, batch_id)
    if json:
        print_json(json_shapes.of_summary(summary))
        return
    in_flight = f"; {counted(summary.active, 'picture')} in flight, settled when they come" if summary.active else ""
    counts = ", ".join(f"{summary.counts[state]:,} {state}" for state in State if summary.counts.get(state))
    output.print(f"{batch_id} is {what}: {counts or 'no pictures yet'}{in_flight}", markup=False)
    again = "resume {}" if what == "paused" else "retry {} --only cancelled"
    print_next(f"imagechord {again.format(batch_id)}", "goes on with it; nothing is bought twice")


def say_nothing_to_do(services: Services, batch_id: str, what: str, *, json: bool) -> None:
    """A command that has changed nothing says so, and what would be sensible instead."""
    if json:
        print_json({"batch": batch_id, "images": 0})
        return
    errors.print(f"{batch_id}: {what}", markup=False)
    print_next(*next_command(summing.summarise(services.ledger, batch_id)))


def _say_interrupted(batch_id: str, again: str, *, embedded: bool) -> None:
    if embedded:
        errors.print(f"Interrupted; {batch_id} is kept, and what was bought is not bought again.", markup=False)
        print_next(again, "goes on where it stopped")
    else:
        errors.print(f"No longer watching; {batch_id} goes on.", markup=False)
        print_next(f"imagechord watch {batch_id}")


@contextmanager
def _stack(services: Services) -> Iterator[EmbeddedStack | None]:
    """The user's broker and workers where REDIS_URL is set, else a Valkey and a worker for the time of the command."""
    settings = services.settings
    if settings.redis_url is not None:
        yield None
        return
    with EmbeddedStack(settings.home / "worker.log") as stack:
        os.environ["IMAGECHORD_REDIS_URL"] = stack.url
        try:
            yield stack
        except KeyboardInterrupt:
            errors.print("\nStopping when the calls in flight have ended; Ctrl-C again stops at once.")
            raise
