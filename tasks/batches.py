"""The public Python API: plain functions for Django, Flask and scripts.

>>> from tasks.batches import submit, wait          # doctest: +SKIP
>>> batch_id = submit(rows, template="product_hero")
>>> wait(batch_id).published
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from tasks import progress, submission
from tasks.celery import app
from tasks.core import routing
from tasks.core.plan import RowProblem
from tasks.core.plan_summary import PlanSummary
from tasks.core.states import ACTIVE
from tasks.core.summary import BatchSummary
from tasks.core.views import ImageView
from tasks.ledger import reading, summing
from tasks.services import current_services
from tasks.submission import Request, Source

_POLL_SECONDS = 0.2


def plan(source: Source, *, template: str, **options: Any) -> tuple[PlanSummary, list[RowProblem]]:
    """Validate every row and price the batch; writes and spends nothing. Options as for :func:`submit`."""
    planned = submission.plan(current_services(), Request(source, template, **options))
    return planned.summary, planned.problems


def submit(source: Source, *, template: str, **options: Any) -> str:
    """Validate, write the batch into the ledger and have a worker start it; returns the batch's id.

    ``source`` is a path or an iterable of mappings; the options are the fields of
    :class:`tasks.submission.Request`. Raises InputError, with every problem, before anything is started.
    """
    submitted = submission.submit(current_services(), Request(source, template, **options))
    if not submitted.existing:
        start(submitted.batch_id)
    return submitted.batch_id


def start(batch_id: str) -> None:
    """Ask a worker to release the batch's first waves; harmless when it has them already."""
    app.signature(routing.START_BATCH, args=(batch_id,), immutable=True).apply_async()


def status(batch_id: str | None = None) -> BatchSummary:
    """Counts, cost, failures and limits as they stand now. Raises InputError for an unknown batch."""
    services = current_services()
    return progress.summarise(services, reading.find_batch(services.ledger, batch_id).id)


def wait(batch_id: str, timeout_seconds: float | None = None) -> BatchSummary:
    """Block until the batch rests. Raises TimeoutError; the batch goes on by itself then."""
    ledger = current_services().ledger
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    while True:
        if summing.is_resting(ledger, batch_id):
            return summing.summarise(ledger, batch_id)
        if deadline is not None and time.monotonic() >= deadline:
            active = sum(count for state, count in reading.state_counts(ledger, batch_id).items() if state in ACTIVE)
            raise TimeoutError(f"batch {batch_id}: {active} images are still under way")
        time.sleep(_POLL_SECONDS)


def results(batch_id: str) -> Iterator[ImageView]:
    """Every image of the batch, what needs a person first."""
    return reading.images(current_services().ledger, batch_id)
