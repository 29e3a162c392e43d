"""The public Python API: plain functions for Django, Flask and scripts.

>>> from tasks.batches import submit, wait          # doctest: +SKIP
>>> batch_id = submit(rows, template="product_hero")
>>> wait(batch_id).published
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kombu.exceptions import OperationalError

from tasks import control, intake, progress, publishing, retrying, rolling_back, submission
from tasks.celery import app
from tasks.cluster import require_same_ledger
from tasks.core import routing
from tasks.core.errors import InputError
from tasks.core.money import usd_micros
from tasks.core.plan import RowProblem
from tasks.core.plan_summary import PlanSummary
from tasks.core.request import Request, Source
from tasks.core.rolling_back import RolledBack
from tasks.core.selection import Edit, Selection
from tasks.core.states import ACTIVE
from tasks.core.summary import BatchSummary
from tasks.core.views import ImageView
from tasks.ledger import reading, summing
from tasks.ledger.engine import Ledger
from tasks.services import current_services

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2


def plan(source: Source, *, template: str, **options: Any) -> tuple[PlanSummary, list[RowProblem]]:
    """Validate every row and price the batch; writes and spends nothing. Options as for :func:`submit`."""
    planned = submission.plan(current_services(), Request(source, template, **options))
    return planned.summary, planned.problems


def submit(source: Source, *, template: str, **options: Any) -> str:
    """Write the rows into the ledger as they are and have a worker plan and start them; returns the batch's id.

    Comes back at once, however many rows there are; none of them is needed afterwards. ``source`` is a path,
    ``s3://bucket/key`` (read by the worker) or an iterable of mappings; the options are the fields of
    :class:`tasks.core.request.Request`. Raises InputError for what shows at once: an unknown template, model or
    option, a missing file or column; ConfigurationError when the workers go by another ledger. What is wrong with
    single rows shows in :func:`status`, and :func:`wait` raises it; nothing is started then.
    """
    services = current_services()
    require_same_ledger(services)
    batch_id = intake.take_in(services, Request(source, template, **options))
    start(batch_id)
    return batch_id


def start(batch_id: str) -> None:
    """Ask a worker to see to the batch: plan it, release its waves, say that it rests; harmless when that is done.

    A broker that is away is no error: the batch is in the ledger, and the workers' sweep finds it there.
    """
    message = app.signature(routing.START_BATCH, args=(batch_id,), immutable=True)
    try:
        with publishing.impatient() as producer:
            # Without a result: nobody reads it, and Celery would subscribe to it.
            message.apply_async(producer=producer, retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        logger.warning("batch %s goes on when the broker is back: %s", batch_id, error)


def status(batch_id: str | None = None) -> BatchSummary:
    """Counts, cost, failures and limits as they stand now. Raises InputError for an unknown batch."""
    services = current_services()
    return progress.summarise(services, reading.find_batch(services.ledger, batch_id).id)


def wait(batch_id: str, timeout_seconds: float | None = None) -> BatchSummary:
    """Block until the batch rests. Raises TimeoutError, and the batch goes on by itself then.

    Raises InputError with every problem when a worker has refused the batch: nothing of it was started.
    """
    ledger = current_services().ledger
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    while True:
        if summing.is_resting(ledger, batch_id):
            return summing.summarise(ledger, batch_id)
        reading.raise_if_refused(ledger, batch_id)
        if deadline is not None and time.monotonic() >= deadline:
            active = sum(count for state, count in reading.state_counts(ledger, batch_id).items() if state in ACTIVE)
            raise TimeoutError(f"batch {batch_id}: {active} images are still under way")
        time.sleep(_POLL_SECONDS)


def pause(batch_id: str) -> None:
    """Stop buying and delivering from this moment; calls in flight are settled, and their pictures wait.

    Raises InputError when the batch is over, as all of these do when it is not there.
    """
    control.pause(_ledger_with(batch_id), batch_id)
    start(batch_id)


def resume(batch_id: str, *, budget_usd: str | float | None = None) -> int:
    """Go on with what is paused or held, in the batch's next round; returns how many pictures waited.

    ``budget_usd`` is the batch's new budget. Pictures that wait to be looked at go on with :func:`publish`.
    """
    budget = None if budget_usd is None else usd_micros(budget_usd)
    images = control.resume(_ledger_with(batch_id), batch_id, budget)
    start(batch_id)
    return images


def cancel(batch_id: str) -> None:
    """End the batch: nothing more is bought or delivered; calls in flight are settled, and their pictures are kept."""
    control.cancel(_ledger_with(batch_id), batch_id)
    start(batch_id)


def retry(  # noqa: PLR0913 – one parameter per option
    batch_id: str,
    *,
    only: str | None = None,
    keys: Iterable[str] | None = None,
    edit: Mapping[str, str] | None = None,
    rehearse_delivery: bool = False,
    allow_unpriced: bool = False,
) -> int:
    """Do failed, refused and unknown pictures again, in the batch's next round; returns how many.

    ``only`` is a state or an error class (``"cancelled"`` takes a cancellation back), ``keys`` are those of rows, and
    ``edit`` is ``{"template": name}`` or ``{"model": alias}``, or both. Pictures that are bought are not bought again;
    those whose outcome is unknown may be. Raises InputError as :func:`tasks.retrying.retry` does.
    """
    _ledger_with(batch_id)
    chosen, changes = Selection.of(only, keys), Edit.of((edit or {}).items())
    done = retrying.retry(
        current_services(),
        batch_id,
        chosen,
        changes,
        rehearse_delivery=rehearse_delivery,
        allow_unpriced=allow_unpriced,
    )
    start(batch_id)
    return done.images


def publish(batch_id: str, *, keys: Iterable[str] | None = None) -> int:
    """Let pictures go into the CMS that ``hold_publish`` has kept back, all or those of these keys; how many."""
    images = control.publish(_ledger_with(batch_id), batch_id, None if keys is None else list(keys))
    start(batch_id)
    return images


def rollback(batch_id: str, *, keys: Iterable[str] | None = None, dry_run: bool = False) -> list[RolledBack]:
    """Put back what the CMS showed before the batch, all or for these keys; what has become of each record.

    Works in this process, and takes as long as the CMS's limits do. Called again it goes on with what is left.
    Raises as :func:`tasks.rolling_back.roll_back` does.
    """
    _ledger_with(batch_id)
    chosen = None if keys is None else list(keys)
    return list(rolling_back.roll_back(current_services(), batch_id, chosen, dry_run=dry_run))


def _ledger_with(batch_id: str) -> Ledger:
    """The ledger. Raises InputError when the batch is not in it, ConfigurationError when the workers have another."""
    require_same_ledger(current_services())
    ledger = current_services().ledger
    if reading.find_batch(ledger, batch_id).id != batch_id:
        raise InputError(f"{batch_id!r} is not the whole id of a batch; give it as submit() returned it")
    return ledger


def results(batch_id: str) -> Iterator[ImageView]:
    """Every image of the batch, what needs a person first."""
    return reading.images(current_services().ledger, batch_id)
