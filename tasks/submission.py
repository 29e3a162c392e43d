"""From a source of rows to a batch in the ledger: validated whole, then started, or not at all."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tasks.core.errors import InputError
from tasks.core.money import usd_micros
from tasks.core.plan import PlannedImage, PlanOptions, RowProblem
from tasks.core.plan_summary import PlanSummary
from tasks.core.planning import Planner, RowPlan
from tasks.ledger import submitting
from tasks.ledger.reading import bought_fingerprints
from tasks.ledger.submitting import CHUNK, NewBatch
from tasks.services import Services
from tasks.sources.opening import open_rows
from tasks.sources.rows import RowSource

Source = str | Path | Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Request:
    """What a caller asks for: ``source`` is a path, or an iterable of mappings. ``budget_usd`` in US dollars.

    ``use`` is hero, bulk, edit or prototype; ``column_map`` is field → column; ``limit`` takes the first rows.
    ``idempotency_key``: a second submission under the same key returns the first one's batch.
    """

    source: Source
    template: str
    model: str | None = None
    use: str | None = None
    column_map: Mapping[str, str] = field(default_factory=dict)
    key_column: str | None = None
    limit: int | None = None
    encoding: str | None = None
    name: str | None = None
    budget_usd: str | float | None = None
    skip_bad_rows: bool = False
    rehearse_delivery: bool = False
    fresh: bool = False
    idempotency_key: str | None = None

    @classmethod
    def from_message(cls, values: Mapping[str, Any]) -> Request:
        """Read the keyword arguments of ``imagechord.start_batch``: ``source`` (a path) or ``rows`` (≤ 500).

        Raises InputError naming what is wrong.
        """
        values = dict(values)
        rows = values.pop("rows", None)
        if rows is not None and len(rows) > 500:
            raise InputError(
                f"rows has {len(rows)} entries; more than 500 go through a file that the worker can read: source=…"
            )
        known = set(cls.__dataclass_fields__)
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(f"start_batch does not take {', '.join(unknown)}; it takes {', '.join(sorted(known))}")
        source = values.pop("source", None) if rows is None else rows
        if source is None or "template" not in values:
            raise InputError("start_batch needs template, and source or rows")
        return cls(source=source, **values)


@dataclass(frozen=True)
class Submitted:
    """What a submission came to. ``existing`` when it was a batch that had been submitted before."""

    batch_id: str
    total: int
    skipped: int
    notes: tuple[str, ...]
    summary: PlanSummary | None = None
    existing: bool = False


@dataclass(frozen=True)
class Planned:
    """What a dry run found. ``field_columns`` is field → column, ``None`` for a default; the key stands as ``sku``.

    ``encoding`` and ``delimiter`` are empty for sources that have none.
    """

    summary: PlanSummary
    problems: list[RowProblem]
    notes: tuple[str, ...]
    encoding: str
    delimiter: str
    field_columns: Mapping[str, str | None]


class _Stream:
    """One pass over the source, planned, a thousand rows at a time; the summary grows with it."""

    def __init__(self, services: Services, request: Request) -> None:
        settings = services.settings
        self.rows = open_rows(request.source, encoding=request.encoding, limit=request.limit)
        self.planner = Planner(
            settings.catalogue, _options(request), self.rows.columns, key_pattern=settings.preferences.key_pattern
        )
        self.summary = PlanSummary(settings.catalogue, settings.preferences)
        self.problems: list[RowProblem] = []
        self._bought = _bought_lookup(services)

    @property
    def notes(self) -> tuple[str, ...]:
        """Complete after the iteration."""
        return (*self.rows.notes, *self.planner.notes)

    def __iter__(self) -> Iterator[list[RowPlan]]:
        planned = (self.planner.plan_row(row) for row in self.rows)
        while chunk := list(islice(planned, CHUNK)):
            paid = self._bought([image.fingerprint for plan in chunk for image in plan.images])
            for plan in chunk:
                self.summary.add(plan, paid)
                self.problems += plan.problems
            yield chunk


def plan(services: Services, request: Request, each: Callable[[PlannedImage], object] | None = None) -> Planned:
    """Validate every row and price the batch: what would be bought, every problem, the notes. Writes nothing.

    ``each`` sees every image as it is planned.
    """
    stream = _Stream(services, request)
    for chunk in stream:
        if each is not None:
            for image in (image for row in chunk for image in row.images):
                each(image)
    return Planned(
        summary=stream.summary,
        problems=stream.problems,
        notes=stream.notes,
        encoding=stream.rows.encoding,
        delimiter=stream.rows.delimiter,
        field_columns=stream.planner.field_columns,
    )


def submit(services: Services, request: Request, approve: Callable[[PlanSummary], None] | None = None) -> Submitted:
    """Put the batch into the ledger, whole and started, ready for its first waves.

    Raises InputError with every problem when a row is bad and bad rows are not to be skipped, or no row is left.
    ``approve`` sees the plan before the batch starts; what it raises takes the batch back.
    """
    if request.idempotency_key and services.ledger_exists():
        existing = submitting.find_by_idempotency_key(services.ledger, request.idempotency_key)
        if existing:
            return Submitted(existing, total=0, skipped=0, notes=(), existing=True)
    stream = _Stream(services, request)
    chunks = iter(stream)
    first = next(chunks, [])
    if stream.problems and not request.skip_bad_rows:  # a ledger is not made for rows that will not be kept
        for _chunk in chunks:
            pass
        _refuse_bad_rows(stream, skip=False)
    return _submit(services, request, stream, chain([first], chunks), approve)


def _submit(
    services: Services,
    request: Request,
    stream: _Stream,
    chunks: Iterable[list[RowPlan]],
    approve: Callable[[PlanSummary], None] | None,
) -> Submitted:
    ledger, batch_id = services.ledger, _new_id()
    holder = submitting.create_batch(ledger, _new_batch(services, request, batch_id, stream.rows))
    if holder != batch_id:
        return Submitted(holder, total=0, skipped=0, notes=(), existing=True)
    try:
        for chunk in chunks:
            _keep(services, batch_id, chunk, writing=request.skip_bad_rows or not stream.problems)
        _refuse_bad_rows(stream, skip=request.skip_bad_rows)
        _refuse_preview_delivery(services, request, stream.summary)
        if approve is not None:
            approve(stream.summary)
    except BaseException:
        submitting.discard(ledger, batch_id)
        raise
    summary = stream.summary
    submitting.start(ledger, batch_id, total=summary.images, skipped=summary.bad_rows, notes=stream.notes)
    return Submitted(batch_id, summary.images, summary.bad_rows, stream.notes, summary)


def _keep(services: Services, batch_id: str, chunk: list[RowPlan], *, writing: bool) -> None:
    if not writing:
        return
    images = [image for row in chunk for image in row.images]
    if images:
        submitting.add_images(services.ledger, batch_id, images)
    submitting.add_skipped(services.ledger, batch_id, [problem for row in chunk for problem in row.problems])


def _refuse_bad_rows(stream: _Stream, *, skip: bool) -> None:
    summary = stream.summary
    if summary.bad_rows and not skip:
        raise InputError(
            f"{stream.rows.name}: {summary.bad_rows} of {summary.rows} rows cannot be used, nothing was started",
            tuple(str(problem) for problem in stream.problems),
        )
    if not summary.images:
        raise InputError(
            f"{stream.rows.name}: no row is left to make a picture of",
            tuple(str(problem) for problem in stream.problems),
        )


def _refuse_preview_delivery(services: Services, request: Request, summary: PlanSummary) -> None:
    """Rehearsal pictures must not reach a shop by accident. Raises InputError."""
    models = services.settings.catalogue.models
    rehearsed = any(models[alias].provider == "preview" for alias in summary.by_model)
    configured = [name for name in ("S3_BUCKET", "CMS_URL") if services.settings.get(name)]
    if rehearsed and configured and not request.rehearse_delivery:
        raise InputError(
            f"the model 'preview' draws rehearsal cards, and {' and '.join(configured)} would receive them; "
            f"unset it, choose another --model, or add --rehearse-delivery if that is what you want"
        )


def digest_of(request: Request) -> str:
    """What makes two runs the same: the file's bytes and every option that shapes a picture. Empty for iterables."""
    if not isinstance(request.source, (str, Path)):
        return ""
    options = (request.template, request.model, request.use, request.key_column, request.limit, request.encoding)
    shape = [*options, sorted(request.column_map.items()), request.skip_bad_rows]
    digest = hashlib.sha256(json.dumps(shape).encode())
    with Path(request.source).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _options(request: Request) -> PlanOptions:
    return PlanOptions(
        template=request.template,
        model=request.model,
        use=request.use,
        column_map=request.column_map,
        key_column=request.key_column,
        fresh=secrets.token_hex(8) if request.fresh else "",
    )


def _new_id() -> str:
    """Sorts by time, is short to type, and does not collide: ``b-261122-104503-7f3a``."""
    return f"b-{datetime.now(UTC):%y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _new_batch(services: Services, request: Request, batch_id: str, rows: RowSource) -> NewBatch:
    catalogue = services.settings.catalogue
    return NewBatch(
        id=batch_id,
        name=request.name or rows.name,
        source=rows.name,
        template=request.template,
        catalogue={
            "models": {alias: spec.model_dump(mode="json") for alias, spec in catalogue.models.items()},
            "prices_usd_micros": {alias: spec.price_usd_micros or 0 for alias, spec in catalogue.models.items()},
            "templates": {name: spec.model_dump(mode="json") for name, spec in catalogue.templates.items()},
        },
        columns=rows.columns,
        key_pattern=services.settings.preferences.key_pattern,
        digest=digest_of(request),
        idempotency_key=request.idempotency_key,
        budget_usd_micros=None if request.budget_usd is None else usd_micros(request.budget_usd),
    )


def _bought_lookup(services: Services) -> Callable[[list[str]], Container[str]]:
    """Which fingerprints need not be bought; a ledger that is not there yet is not created for the answer."""
    if services.ledger_exists():
        return lambda fingerprints: bought_fingerprints(services.ledger, fingerprints)
    return lambda _fingerprints: ()
