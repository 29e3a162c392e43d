"""From a source of rows to a batch in the ledger: validated whole, then started, or not at all."""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tasks.core.catalogue import ModelSpec, TemplateSpec
from tasks.core.errors import InputError
from tasks.core.fallbacks import with_fallbacks
from tasks.core.plan import PlannedImage, PlanOptions, RowProblem
from tasks.core.plan_summary import PlanSummary
from tasks.core.planning import Planner, RowPlan
from tasks.core.request import Request, is_s3
from tasks.core.retirement import has_retired, notice
from tasks.ledger import submitting
from tasks.ledger.reading import bought_fingerprints
from tasks.ledger.submitting import CHUNK, NewBatch
from tasks.references import References, base_of
from tasks.refusals import Refusal, check_webhook, refusal_of, refuse_rehearsal
from tasks.services import Services
from tasks.sources.opening import open_rows
from tasks.sources.rows import RowSource


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
    refusal: Refusal | None = None
    """Why the batch as a whole would not be started, whatever its rows are."""


class Stream:
    """One pass over the source, planned, a thousand rows at a time; the summary grows with it.

    Of the problems no more than ``most_problems`` are kept. Raises InputError as :class:`Planner` does.
    """

    def __init__(
        self,
        services: Services,
        request: Request,
        rows: RowSource,
        references: References,
        *,
        most_problems: int | None = None,
    ) -> None:
        settings = services.settings
        self.rows = rows
        self._references = references
        pattern = settings.preferences.key_pattern
        self.planner = Planner(settings.catalogue, plan_options(request), rows.columns, pattern, references)
        self.summary = PlanSummary(settings.catalogue, settings.preferences)
        self.problems: list[RowProblem] = []
        self._today = services.settings.today
        self._most_problems = sys.maxsize if most_problems is None else most_problems
        self._bought = _bought_lookup(services)

    @property
    def notes(self) -> tuple[str, ...]:
        """Complete after the iteration."""
        return (*self.rows.notes, *self.planner.notes, *self._retiring())

    def _retiring(self) -> Iterator[str]:
        """Models that the batch uses, or may come to, and that go away; what is refused for it is said as that."""
        models, refused = self.summary.catalogue.models, self.summary.to_buy
        for alias in with_fallbacks(models, self.summary.by_model):
            if not (alias in refused and has_retired(models[alias], self._today)):
                yield from filter(None, [notice(models, alias, self._today)])

    @property
    def worded_problems(self) -> tuple[str, ...]:
        """Each problem as a person reads it, and how many are not shown."""
        more = self.summary.problems - len(self.problems)
        return (*map(str, self.problems), *([f"… and {more:,} more"] if more else []))

    def __iter__(self) -> Iterator[list[RowPlan]]:
        rows = iter(self.rows)
        while some := list(islice(rows, CHUNK)):
            if self.planner.reads_references:
                self._references.prepare(name for row in some for name in self.planner.references_of(row))
            chunk = [self.planner.plan_row(row) for row in some]
            paid = self._bought([image.fingerprint for plan in chunk for image in plan.images])
            for plan in chunk:
                self.summary.add(plan, paid)
                self.problems += plan.problems[: self._most_problems - len(self.problems)]
            yield chunk


def _open(services: Services, request: Request, *, stages: bool) -> Stream:
    rows = open_rows(request.source, encoding=request.encoding, limit=request.limit)
    return Stream(services, request, rows, References(services, base_of(request.source), stages=stages))


def plan(services: Services, request: Request, each: Callable[[PlannedImage], object] | None = None) -> Planned:
    """Validate every row and price the batch: what would be bought, every problem, the notes. Writes nothing.

    ``each`` sees every image as it is planned.
    """
    check_webhook(services, request.webhook)
    stream = _open(services, request, stages=False)
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
        refusal=refusal_of(services, request, stream.summary),
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
    stream = _open(services, request, stages=True)
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
    stream: Stream,
    chunks: Iterable[list[RowPlan]],
    approve: Callable[[PlanSummary], None] | None,
) -> Submitted:
    new = new_batch(services, request, stream.rows.name, stream.rows.columns, catalogue=frozen_catalogue(services))
    holder = submitting.create_batch(services.ledger, new)
    if holder != new.id:
        return Submitted(holder, total=0, skipped=0, notes=(), existing=True)
    try:
        write(services, new.id, request, stream, chunks)
        if approve is not None:
            approve(stream.summary)
    except BaseException:
        submitting.discard(services.ledger, new.id)
        raise
    summary = stream.summary
    # A retry with another template reads the rows as they were read now.
    kept = {"request": {"options": request.options}}
    submitting.start(
        services.ledger, new.id, total=summary.images, skipped=summary.bad_rows, notes=stream.notes, frozen=kept
    )
    return Submitted(new.id, summary.images, summary.bad_rows, stream.notes, summary)


def write(  # noqa: PLR0913, PLR0917 - the whole plan comes together here
    services: Services,
    batch_id: str,
    request: Request,
    stream: Stream,
    chunks: Iterable[list[RowPlan]],
    planner_no: int = 0,
) -> None:
    """Put the planned images of a batch into the ledger, all but the start.

    Raises InputError with every problem when a row is bad and bad rows are not to be skipped, no row is left,
    a model has no price, or rehearsal pictures would reach a shop; Superseded when somebody else plans the batch.
    """
    for chunk in chunks:
        if stream.problems and not request.skip_bad_rows:
            continue  # the rest is read for its problems alone
        images = [image for row in chunk for image in row.images]
        if images:
            submitting.add_images(services.ledger, batch_id, images, planner_no)
        problems = [problem for row in chunk for problem in row.problems]
        submitting.add_skipped(services.ledger, batch_id, problems, planner_no)
    _refuse_bad_rows(stream, skip=request.skip_bad_rows)
    if refusal := refusal_of(services, request, stream.summary):
        raise InputError(refusal.message)
    refuse_rehearsal(services, services.settings.catalogue, stream.summary.by_model, allowed=request.rehearse_delivery)


def _refuse_bad_rows(stream: Stream, *, skip: bool) -> None:
    summary = stream.summary
    if summary.bad_rows and not skip:
        raise InputError(
            f"{stream.rows.name}: {summary.bad_rows} of {summary.rows} rows cannot be used, nothing was started",
            stream.worded_problems,
        )
    if not summary.images:
        raise InputError(
            f"{stream.rows.name}: no row is left to make a picture of",
            stream.worded_problems,
        )


def digest_of(request: Request) -> str:
    """What makes two runs the same: the file's bytes and every option that shapes a picture. Empty where no file is."""
    if not isinstance(request.source, (str, Path)) or is_s3(request.source):
        return ""
    options = (request.template, request.model, request.use, request.key_column, request.limit, request.encoding)
    shape = [*options, sorted(request.column_map.items()), request.skip_bad_rows, request.variants]
    digest = hashlib.sha256(json.dumps(shape).encode())
    with Path(request.source).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def plan_options(request: Request) -> PlanOptions:
    """What of a request decides the pictures."""
    return PlanOptions(
        template=request.template,
        model=request.model,
        use=request.use,
        column_map=request.column_map,
        key_column=request.key_column,
        variants=request.variants,
        fresh=secrets.token_hex(8) if request.fresh else "",
    )


def new_id() -> str:
    """Sorts by time, is short to type, and does not collide: ``b-261122-104503-7f3a``."""
    return f"b-{datetime.now(UTC):%y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def new_batch(
    services: Services, request: Request, source: str, columns: Sequence[str], *, catalogue: Mapping[str, Any]
) -> NewBatch:
    """The batch that a request asks for, with an id of its own. Raises as :func:`check_webhook` does."""
    check_webhook(services, request.webhook)
    return NewBatch(
        id=new_id(),
        name=request.name or source,
        source=source,
        template=request.template,
        catalogue=catalogue,
        columns=columns,
        key_pattern=services.settings.preferences.key_pattern,
        digest=digest_of(request),
        idempotency_key=request.idempotency_key,
        budget_usd_micros=request.budget_usd_micros,
        priority=request.priority,
        hold_publish=request.hold_publish,
        webhook=request.webhook,
    )


def frozen_catalogue(services: Services) -> dict[str, Any]:
    """Models, prices and templates as they are now: what a batch goes by until its end."""
    return frozen(services.settings.catalogue.models, services.settings.catalogue.templates)


def frozen(models: Mapping[str, ModelSpec], templates: Mapping[str, TemplateSpec]) -> dict[str, Any]:
    """Models and templates as a batch keeps them."""
    return {
        "models": {alias: spec.model_dump(mode="json") for alias, spec in models.items()},
        "prices_usd_micros": {alias: spec.price_usd_micros or 0 for alias, spec in models.items()},
        "unpriced": [alias for alias, spec in models.items() if spec.price_usd is None],
        "templates": {name: spec.model_dump(mode="json") for name, spec in templates.items()},
    }


def _bought_lookup(services: Services) -> Callable[[list[str]], Container[str]]:
    """Which fingerprints need not be bought; a ledger that is not there yet is not created for the answer."""
    if services.ledger_exists():
        return lambda fingerprints: bought_fingerprints(services.ledger, fingerprints)
    return lambda _fingerprints: ()
