"""``imagechord run``: plan, submit, watch, report – on your workers, or on an embedded stack of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import typer

from tasks import health, submission
from tasks.cli import options
from tasks.cli.console import errors, note, print_next
from tasks.cli.request import takes_request
from tasks.cli.wording import counted
from tasks.cluster import require_same_ledger
from tasks.core.errors import ConfigurationError
from tasks.core.health import Health
from tasks.core.money import format_usd
from tasks.core.plan_summary import PlanSummary
from tasks.core.request import Request
from tasks.core.states import ACTIVE
from tasks.devstack.stack import EmbeddedStack
from tasks.ledger import reading, submitting
from tasks.services import Services, current_services
from tasks.submission import Submitted

_INTERRUPTED = 130


@takes_request
def run(request: Request, json: options.Json = False) -> None:
    """Make and publish a picture for every row, and wait for it.

    Validates every row first: one bad row, and nothing is started. Then shows the progress, prints the summary that
    Slack gets, writes the contact sheet and prints its path. Without CSV it makes the sample catalogue, offline and
    free.

    With REDIS_URL set it uses that broker and your workers (celery -A tasks worker); without, it brings a Valkey and
    a worker of its own, and leaves nothing of them behind.

    Ctrl-C stops in order: what is being bought is finished, and the same command goes on where it stopped. The same
    rows with the same options are one batch until it is finished, and what was bought once is never bought again
    (--fresh does).
    """
    services = current_services()
    batch_id = _resume_or_submit(services, request)
    raise typer.Exit(_run(services, batch_id, json=json))


def _run(services: Services, batch_id: str, *, json: bool) -> int:
    """Start the batch, watch it, say goodbye; returns the exit code."""
    embedded = services.settings.redis_url is None
    try:
        with _stack(services) as stack:
            # While the worker boots: Celery is half of what there is to import.
            from tasks.batches import start
            from tasks.cli.finishing import say_goodbye
            from tasks.cli.watch import follow

            start(batch_id)
            follow(services, batch_id, stack)
            if stack is not None:
                stack.ask_to_stop()
            return say_goodbye(services, batch_id, json=json)
    except KeyboardInterrupt:
        _say_interrupted(batch_id, embedded=embedded)
        return _INTERRUPTED


def _resume_or_submit(services: Services, request: Request) -> str:
    """The unfinished batch of the very same rows and options, or a new one."""
    require_same_ledger(services)
    unfinished = _unfinished(services, request)
    if unfinished is not None:
        note(f"going on with {unfinished}: the same rows and options, not finished yet")
        return unfinished
    check = _check_own_stack if services.settings.redis_url is None else _check_workers
    submitted = submission.submit(services, request, approve=partial(check, services))
    announce(submitted)
    for row in reading.list_batches(services.ledger, limit=20):
        if row.id != submitted.batch_id and (left := _active(services, row.id)):
            note(f"{row.id} ({row.name}) is unfinished and goes on too: {counted(left, 'picture')} left")
    return submitted.batch_id


def _unfinished(services: Services, request: Request) -> str | None:
    if request.fresh or not services.ledger_exists():
        return None
    with suppress(OSError):  # a file that cannot be read is explained by whoever reads its rows
        return submitting.find_unfinished(services.ledger, submission.digest_of(request))
    return None


def _active(services: Services, batch_id: str) -> int:
    counts = reading.state_counts(services.ledger, batch_id)
    return sum(count for state, count in counts.items() if state in ACTIVE)


def announce(submitted: Submitted) -> None:
    """Say what was submitted, with its notes."""
    for text in submitted.notes:
        note(text)
    expected = submitted.summary.cost.expected if submitted.summary else 0
    cost = f"about {format_usd(expected)}" if expected else "nothing to pay"
    skipped = f", {counted(submitted.skipped, 'row')} skipped" if submitted.skipped else ""
    errors.print(f"{submitted.batch_id}: {counted(submitted.total, 'picture')}, {cost}{skipped}", markup=False)


def _check_own_stack(services: Services, summary: PlanSummary) -> None:
    """See that this machine can do all that the plan needs. Raises ConfigurationError with the mend."""
    models = services.settings.catalogue.models
    used = sorted({models[alias].provider for alias in summary.to_buy})
    for name in used:
        _require(health.provider(services, name))
    _require(health.staging(services))
    _require(health.public(services))
    cms = health.cms(services)
    if cms.status == "bad":
        note(f"cms: {cms.detail}. {cms.mend}")


def _check_workers(services: Services, summary: PlanSummary) -> None:
    """See that the broker answers and that somebody serves the models. Raises ConfigurationError with the mend."""
    _require(health.broker(services))
    idle = health.unserved_queues(services, summary.by_model)
    if idle:
        raise ConfigurationError(
            f"no worker serves {', '.join(idle)}; start one: celery -A tasks worker (or unset REDIS_URL: "
            f"then 'imagechord run' brings its own broker and worker)"
        )


def _require(one: Health) -> None:
    if one.status == "bad":
        raise ConfigurationError(f"{one.component}: {one.detail}" + (f". {one.mend}" if one.mend else ""))


def _say_interrupted(batch_id: str, *, embedded: bool) -> None:
    if embedded:
        errors.print(f"Interrupted; {batch_id} is kept, and what was bought is not bought again.", markup=False)
        print_next("the same command", "goes on where it stopped")
    else:
        errors.print(f"No longer watching; {batch_id} goes on.", markup=False)
        print_next(f"imagechord watch {batch_id}")


@contextmanager
def _stack(services: Services) -> Iterator[EmbeddedStack | None]:
    """The user's broker and workers where REDIS_URL is set, else a Valkey and a worker for the time of the run."""
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
