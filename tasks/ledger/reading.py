"""What people and reports read of the ledger: nothing here changes a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Row, Table, case, select

from tasks.core.errors import InputError
from tasks.core.pictures import Size
from tasks.core.states import State
from tasks.core.views import ImageView, SkippedRow, attention_rank
from tasks.ledger.counting import tally
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import attempt, batch, image, picture, revision, skipped_row, thumbnail

PAGE = 500
"""Images read in one query."""
_NAMED = 10
"""Of many that are missing, so many are named."""


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch as the ledger has it. ``columns`` is the header of its source."""

    id: str
    name: str
    source: str
    template: str
    phase: str
    total: int
    skipped: int
    round: int
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    budget_usd_micros: int | None
    spent_usd_micros: int
    created_at: datetime
    started_at: datetime | None


# Not the frozen catalogue: it is large.
_BATCHES = select(*(batch.c[name] for name in BatchRow.__slots__))


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One paid call."""

    number: int
    model: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    message: str | None
    trace_id: str | None
    cost_usd_micros: int | None


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """What a picture was before it was done again: the end of ``round``, and what it had been made by.

    ``fell_back_to`` is the model that took over in the same round, where nobody had to ask for that.
    """

    variant: int
    round: int
    state: str
    template: str
    model: str
    prompt: str
    attempts: int
    error_class: str | None
    error_step: str | None
    error_message: str | None
    retried_at: datetime
    fell_back_to: str | None = None


def find_batch(ledger: Ledger, reference: str | None = None) -> BatchRow:
    """The batch of an id, the beginning of an id, or a name; the newest when ``reference`` is ``None``.

    Raises InputError when there is none, or several.
    """
    # One that its submitter plans is not there until it has started.
    there = _BATCHES.where((batch.c.phase != "planning") | batch.c.request.is_not(None))
    with ledger.read() as connection:
        if reference is None:
            rows = connection.execute(there.order_by(batch.c.created_at.desc()).limit(1)).all()
        else:
            starts = batch.c.id.startswith(reference, autoescape=True)
            fitting = there.where(starts | (batch.c.name == reference))
            rows = connection.execute(
                fitting.order_by(batch.c.id != reference, batch.c.created_at.desc()).limit(6)
            ).all()
    if rows and rows[0].id == reference:
        rows = rows[:1]
    if not rows:
        where = f"in this ledger ({ledger.url.render_as_string()})"
        if reference is None:
            raise InputError(f"no batch yet {where}; imagechord run makes a first one")
        raise InputError(f"no batch {reference!r} {where}; 'imagechord status --all' lists them")
    if len(rows) > 1:
        raise InputError(f"{reference!r} fits several batches: {', '.join(row.id for row in rows)}; type more of it")
    return _batch_row(rows[0])


def phase_of(ledger: Ledger, batch_id: str) -> str:
    """planning, refused, started or cancelled. Raises KeyError for an unknown batch."""
    with ledger.read() as connection:
        phase = connection.scalar(select(batch.c.phase).where(batch.c.id == batch_id))
    if phase is None:
        raise KeyError(batch_id)
    return str(phase)


def raise_if_refused(ledger: Ledger, batch_id: str) -> None:
    """Raise InputError, with every problem, when the batch was refused."""
    with ledger.read() as connection:
        said = connection.scalar(select(batch.c.problems).where(batch.c.id == batch_id, batch.c.phase == "refused"))
    if said is not None:
        raise InputError(said[0], tuple(said[1:]))


def list_batches(ledger: Ledger, limit: int = 20) -> list[BatchRow]:
    """The newest batches first."""
    with ledger.read() as connection:
        rows = connection.execute(_BATCHES.order_by(batch.c.created_at.desc()).limit(limit)).all()
    return [_batch_row(row) for row in rows]


def _batch_row(row: Row[*tuple[Any, ...]]) -> BatchRow:
    values = {name: getattr(row, name) for name in BatchRow.__slots__}
    return BatchRow(**values | {"columns": tuple(row.columns), "notes": tuple(row.notes)})


def batch_models(ledger: Ledger, batch_id: str) -> list[str]:
    """The aliases of the models that the batch's images use."""
    with ledger.read() as connection:
        return list(tally(connection, batch_id).by_model)


def state_counts(ledger: Ledger, batch_id: str) -> dict[State, int]:
    """How many images are in each state; states without images are left out."""
    with ledger.read() as connection:
        return tally(connection, batch_id).counts


def bought_fingerprints(ledger: Ledger, fingerprints: Sequence[str]) -> set[str]:
    """Which of these pictures have been bought already: one query for a whole chunk."""
    with ledger.read() as connection:
        rows = connection.scalars(
            select(picture.c.fingerprint).where(picture.c.fingerprint.in_(fingerprints), picture.c.bought)
        )
        return set(rows)


def images(ledger: Ledger, batch_id: str, *, thumbnails: bool = False, key: str | None = None) -> Iterator[ImageView]:
    """Every image of a batch once: those that need a person first, then by line; read a page at a time.

    The order is that of the first moment; an image that moves on while others are read is shown as it is then.
    """
    columns = [image, thumbnail.c.jpeg] if thumbnails else [image]
    query = select(*columns)
    if thumbnails:
        query = query.outerjoin(thumbnail, thumbnail.c.fingerprint == image.c.fingerprint)
    mine = [image.c.batch_id == batch_id] if key is None else [image.c.batch_id == batch_id, image.c.key == key]
    rank = case({state: attention_rank(state) for state in State}, value=image.c.state)
    with ledger.read() as connection:
        ids = connection.scalars(select(image.c.id).where(*mine).order_by(rank, image.c.line, image.c.id)).all()
    for start in range(0, len(ids), PAGE):
        page = ids[start : start + PAGE]
        with ledger.read() as connection:
            rows = {row.id: row for row in connection.execute(query.where(image.c.id.in_(page)))}
        yield from (view_of(rows[id_], rows[id_].jpeg if thumbnails else None) for id_ in page)


def keys(ledger: Ledger, batch_id: str, beginning: str, limit: int) -> list[str]:
    """At most ``limit`` keys of a batch's images that begin so, in their order."""
    fitting = (image.c.batch_id == batch_id, image.c.key.startswith(beginning, autoescape=True))
    with ledger.read() as connection:
        query = select(image.c.key).where(*fitting).distinct().order_by(image.c.key).limit(limit)
        return list(connection.scalars(query))


def view_of(row: Row[*tuple[Any, ...]], jpeg: bytes | None) -> ImageView:
    """An image's row as people see it."""
    return ImageView(
        line=row.line,
        key=row.key,
        variant=row.variant,
        template=row.template,
        model=row.model,
        prompt=row.prompt,
        state=State(row.state),
        size=Size(row.width, row.height),
        cost_usd_micros=row.cost_usd_micros,
        reused=row.reused,
        attempts=row.attempts,
        error_class=row.error_class,
        error_step=row.error_step,
        error_message=row.error_message,
        public_url=row.public_url,
        output_key=row.output_key,
        fingerprint=row.fingerprint,
        cms_receipt=row.cms_receipt,
        replaced=row.replaced["value"] if row.replaced else None,
        rolled_back_at=row.rolled_back_at,
        asked_model=row.asked_model,
        created_at=row.created_at,
        published_at=row.published_at,
        references=tuple(each["name"] for each in row.reference or ()),
        thumbnail=jpeg,
        row=row.row,
    )


def require_keys(ledger: Ledger, batch_id: str, keys: Sequence[str]) -> None:
    """Raise InputError when the batch has no picture of one of these keys."""
    there: set[str] = set()
    with ledger.read() as connection:
        for start in range(0, len(keys), PAGE):
            some = image.c.key.in_(keys[start : start + PAGE])
            there.update(connection.scalars(select(image.c.key).where(image.c.batch_id == batch_id, some)))
    if missing := [key for key in keys if key not in there]:
        raise InputError(f"no picture of {batch_id} has the key {', '.join(map(repr, missing[:_NAMED]))}")


def skipped_rows(ledger: Ledger, batch_id: str) -> Iterator[SkippedRow]:
    """The rows that were left out, in the order of their lines."""
    with ledger.read() as connection:
        rows = connection.execute(
            select(skipped_row).where(skipped_row.c.batch_id == batch_id).order_by(skipped_row.c.line)
        ).all()
    for row in rows:
        yield SkippedRow(line=row.line, problems=tuple(row.problems), row=row.row)


def attempts(ledger: Ledger, batch_id: str, key: str) -> list[AttemptRow]:
    """Every paid call for a key, oldest first."""
    columns = [attempt.c[name] for name in AttemptRow.__slots__]
    return [AttemptRow(*row) for row in _history(ledger, attempt, columns, batch_id, key)]


def revisions(ledger: Ledger, batch_id: str, key: str) -> list[RevisionRow]:
    """What the pictures of a key were before each retry, oldest first."""
    columns = [image.c.variant, *(revision.c[name] for name in RevisionRow.__slots__[1:])]
    return [RevisionRow(*row) for row in _history(ledger, revision, columns, batch_id, key)]


def _history(
    ledger: Ledger, table: Table, columns: Sequence[Column[Any]], batch_id: str, key: str
) -> Sequence[Row[*tuple[Any, ...]]]:
    """What a table of things that happened to images has on those of a key, oldest first."""
    of_key = (image.c.batch_id == batch_id, image.c.key == key)
    query = select(*columns).join_from(table, image, image.c.id == table.c.image_id).where(*of_key)
    with ledger.read() as connection:
        return connection.execute(query.order_by(table.c.id)).all()
