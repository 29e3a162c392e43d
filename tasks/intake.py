"""Submitting at once, at any size: the rows go into the ledger as they came, and a worker plans them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tasks import refusals, submission
from tasks.core.choosing import ModelChoice, known
from tasks.core.errors import (
    ConfigurationError,
    InputError,
    LedgerUnavailable,
    NotSent,
    Overloaded,
    RateLimited,
    StepError,
    Superseded,
)
from tasks.core.planning import Planner
from tasks.core.request import Request, is_s3
from tasks.ledger import submitting, unplanned
from tasks.ledger.submitting import NewBatch
from tasks.ledger.unplanned import Planning
from tasks.references import References, base_of
from tasks.references import capture as capture_references
from tasks.services import Services
from tasks.sources.captured import Captured, capture, reopen

logger = logging.getLogger(__name__)

PASSING = (LedgerUnavailable, NotSent, Overloaded, RateLimited, OSError)
"""Trouble after which planning is tried again."""

_MOST_PLANNERS = 10
_MOST_PROBLEMS = 1000


def take_in(services: Services, request: Request, order: str | None = None) -> str:
    """Put the batch and its rows into the ledger, unread; returns its id. The source is not needed afterwards.

    ``order`` is the id of the message that ordered the batch: the same message again is the same batch, also when
    it has been refused. Raises InputError for what shows without reading the rows: an unknown template, model or
    option, a file that is not there, a column that is missing.
    """
    for key in filter(None, (order, request.idempotency_key)):
        if existing := submitting.find_by_idempotency_key(services.ledger, key):
            return existing
    if is_s3(request.source):
        _check(services, request, None)
        url = str(request.source)
        stored: dict[str, Any] = {"name": url.rpartition("/")[2], "keys": None, "url": url, "references": {}}
        return _store(services, request, order, stored, (), iter(()))
    with capture(request.source, encoding=request.encoding, limit=request.limit) as captured:
        _check(services, request, captured.columns)
        found = _references(services, request, captured)
        stored = {"name": captured.name, "keys": captured.keys, "url": None, "references": found}
        return _store(services, request, order, stored, captured.columns or (), captured.blocks)


def _store(  # noqa: PLR0913, PLR0917 - what a batch is made of
    services: Services,
    request: Request,
    order: str | None,
    source: Mapping[str, Any],
    columns: Sequence[str],
    blocks: Iterator[bytes],
) -> str:
    new = submission.new_batch(services, request, source["name"], columns, catalogue={})
    new = replace(new, source=source["url"] or source["name"], idempotency_key=request.idempotency_key or order)
    kept = {"source": dict(source), "options": request.options, "order": order}
    return unplanned.take_in(services.ledger, new, kept, blocks)


def _check(services: Services, request: Request, columns: Sequence[str] | None) -> None:
    """See that the request can be planned, as far as ``columns`` tell. Raises InputError."""
    settings, options = services.settings, submission.plan_options(request)
    if columns is not None:
        Planner(settings.catalogue, options, columns, key_pattern=settings.preferences.key_pattern)
        return
    known(settings.catalogue.templates, request.template, "template")
    ModelChoice(settings.catalogue, options)


def _references(services: Services, request: Request, captured: Captured) -> dict[str, dict[str, str]]:
    """The files that rows name as pictures to start from, put into staging: nobody may be able to read them later."""
    settings = services.settings
    rows = partial(reopen, captured.path, keys=captured.keys, encoding=request.encoding, limit=request.limit)
    with suppress(InputError):  # whoever plans the batch says what is wrong with it
        columns = rows().columns if captured.columns is None else captured.columns
        planner = Planner(settings.catalogue, submission.plan_options(request), columns)
        if planner.reads_references:
            return capture_references(services, planner, rows(), base_of(request.source))
    return {}


def take_in_order(services: Services, values: Mapping[str, Any], order: str) -> str:
    """Take in what a message orders; nobody waits for its answer, so what is wrong with it becomes a refused batch.

    ``values`` are its keyword arguments; see :meth:`tasks.core.request.Request.from_message`. Returns the batch's id.
    """
    try:
        return take_in(services, Request.from_message(values), order)
    except (InputError, ConfigurationError) as error:
        logger.warning("order %s is refused: %s", order, error)
        source = values.get("source")
        source = source if isinstance(source, str) else "rows"
        new = NewBatch(
            id=submission.new_id(),
            name=str(values.get("name") or Path(source).name),
            source=source,
            template=str(values.get("template", "")),
            catalogue={},
            columns=(),
            key_pattern="",
            digest="",
            idempotency_key=order,
            webhook=_usable_webhook(services, values.get("webhook")),
        )
        return unplanned.record_refused(services.ledger, new, order, worded(error))


def _usable_webhook(services: Services, url: Any) -> str | None:
    """Whom to tell that an order is refused, unless it is the webhook itself that cannot be told."""
    try:
        refusals.check_webhook(services, url)
    except (InputError, ConfigurationError, AttributeError, TypeError):  # in a message anything may stand there
        return None
    return None if url is None else str(url)


def plan_stored(services: Services, batch_id: str) -> None:
    """Plan a batch that was taken in, if it waits for that: it has started afterwards, or is refused.

    Does nothing when somebody else plans it. Raises one of :data:`PASSING` for trouble that passes, when the batch
    is free for the next try, and Superseded when another planner has taken over.
    """
    planning = unplanned.claim_planning(services.ledger, batch_id, services.worker_id)
    if planning is None:
        return
    logger.info("%s: planning", batch_id)
    try:
        _plan(services, planning)
    except Superseded:
        raise
    except PASSING as error:
        if planning.number < _MOST_PLANNERS:
            unplanned.let_go(services.ledger, planning)
            raise
        _refuse(services, planning, error)
    except (InputError, ConfigurationError, StepError) as error:
        _refuse(services, planning, error)
    except Exception as error:
        logger.exception("%s: unexpected error in planning", batch_id)
        mistake = f"unexpected {type(error).__name__}: {error}; this is imagechord's own mistake, see the worker's log"
        _refuse(services, planning, InputError(mistake))


def _refuse(services: Services, planning: Planning, error: Exception) -> None:
    logger.warning("%s is refused: %s", planning.batch_id, error)
    unplanned.refuse(services.ledger, planning, worded(error))


def worded(error: Exception) -> tuple[str, ...]:
    """A sentence, then each problem on its own."""
    return (str(error), *getattr(error, "problems", ()))


def _plan(services: Services, planning: Planning) -> None:
    if planning.number > _MOST_PLANNERS:
        raise InputError(
            f"{_MOST_PLANNERS} workers have tried to plan it and died; their logs, or the system's, say why"
        )
    with _spooled(services, planning) as path:
        request = Request(path, **planning.request["options"])
        rows = reopen(path, keys=planning.request["source"]["keys"], encoding=request.encoding, limit=request.limit)
        stream = submission.Stream(services, request, rows, _found(services, planning), most_problems=_MOST_PROBLEMS)
        submission.write(services, planning.batch_id, request, stream, stream, planning.number)
    submitting.start(
        services.ledger,
        planning.batch_id,
        total=stream.summary.images,
        skipped=stream.summary.bad_rows,
        notes=stream.notes,
        planner_no=planning.number,
        frozen={
            "catalogue": submission.frozen_catalogue(services),
            "columns": list(rows.columns),
            "key_pattern": services.settings.preferences.key_pattern,
            # Each image has its own from here on.
            "request": {**planning.request, "source": {**planning.request["source"], "references": {}}},
        },
    )


def _found(services: Services, planning: Planning) -> References:
    """The pictures to start from: files as they were found at submission, the others as they are now."""
    source = planning.request["source"]

    def alive() -> None:
        unplanned.keep_hold(services.ledger, planning)

    base = base_of(source["url"]) if source["url"] else None
    return References(services, base, stages=True, known=source.get("references"), alive=alive)


@contextmanager
def _spooled(services: Services, planning: Planning) -> Iterator[Path]:
    """The source as a file of its own name, for as long as it is read."""
    source = planning.request["source"]
    url, ledger = source["url"], services.ledger
    blocks = services.source_object(url) if url else unplanned.read_source(ledger, planning.batch_id)
    with TemporaryDirectory(prefix="imagechord-") as folder:
        path = Path(folder) / Path(source["name"]).name
        with path.open("wb") as file:
            for block in blocks:
                file.write(block)
                unplanned.keep_hold(ledger, planning)
        yield path
