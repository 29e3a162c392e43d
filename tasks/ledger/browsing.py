"""What pages show of the ledger: a page at a time, however large it is. Nothing here changes a row.

A page begins after a place, not at a number, so the last one is found as quickly as the first, and nothing is shown
twice because something has moved meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select, tuple_

from tasks.core.holds import WHOLE, Reason
from tasks.core.states import State
from tasks.core.views import ImageView, SkippedRow
from tasks.ledger.engine import Ledger
from tasks.ledger.reading import AttemptRow, RevisionRow, view_of
from tasks.ledger.schema import AT_REST, attempt, batch, hold, image, revision, skipped_row, thumbnail

_ALT_CHARACTERS = 160
_ARRIVED = sorted({State.PUBLISHED, State.FAILED, State.REFUSED})
_Row = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class BatchHead:
    """One batch as a list names it, with its money."""

    id: str
    name: str
    phase: str
    template: str
    total: int
    skipped: int
    budget_usd_micros: int | None
    reserved_usd_micros: int
    spent_usd_micros: int
    created_at: datetime


_HEADS = select(*(batch.c[name] for name in BatchHead.__slots__))


def heads(ledger: Ledger, limit: int, before: tuple[datetime, str] | None = None) -> list[BatchHead]:
    """The newest batches first, those after a place (``created_at`` and id)."""
    query = _HEADS.order_by(batch.c.created_at.desc(), batch.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(tuple_(batch.c.created_at, batch.c.id) < before)
    with ledger.read() as connection:
        return [BatchHead(*row) for row in connection.execute(query)]


def head(ledger: Ledger, batch_id: str) -> BatchHead:
    """One batch. Raises KeyError for an unknown one."""
    with ledger.read() as connection:
        row = connection.execute(_HEADS.where(batch.c.id == batch_id)).first()
    if row is None:
        raise KeyError(batch_id)
    return BatchHead(*row)


def counts(ledger: Ledger, batch_ids: Sequence[str]) -> Mapping[str, Mapping[State, int]]:
    """The images of each batch by state, in one query; batches and states without images are left out."""
    found: defaultdict[str, dict[State, int]] = defaultdict(dict)
    query = select(image.c.batch_id, image.c.state, func.count()).where(image.c.batch_id.in_(batch_ids))
    with ledger.read() as connection:
        for batch_id, state, images in connection.execute(query.group_by(image.c.batch_id, image.c.state)):
            found[batch_id][State(state)] = images
    return found


def held_wholly(ledger: Ledger, batch_ids: Sequence[str]) -> Mapping[str, Reason]:
    """Those of the batches that are on hold as a whole, and why, in one query."""
    query = select(hold.c.batch_id, hold.c.reason).where(hold.c.batch_id.in_(batch_ids), hold.c.model == WHOLE)
    with ledger.read() as connection:
        return {batch_id: Reason(reason) for batch_id, reason in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class Card:
    """One picture among others. ``prompt`` is its beginning."""

    id: int
    key: str
    variant: int
    model: str
    state: State
    prompt: str
    cost_usd_micros: int
    reused: bool
    error_class: str | None
    error_message: str | None
    fingerprint: str
    moved_at: datetime
    has_thumbnail: bool


_BEGINNING = func.substr(image.c.prompt, 1, _ALT_CHARACTERS).label("prompt")
_CARDS = select(
    *(_BEGINNING if name == "prompt" else image.c[name] for name in Card.__slots__[:-1]),
    thumbnail.c.fingerprint.is_not(None).label("has_thumbnail"),
).outerjoin(thumbnail, thumbnail.c.fingerprint == image.c.fingerprint)

# An expression: ordered by the column itself, a database may walk all batches' images in search of this one's.
_ID = image.c.id + 0


def arrivals(ledger: Ledger, batch_id: str, limit: int, before: tuple[datetime, int] | None = None) -> list[Card]:
    """Pictures that have come to an end, the latest first, those after a place (``moved_at`` and id).

    What is held or cancelled, perhaps all at once, is not among them.
    """
    ids = select(image.c.id).where(image.c.batch_id == batch_id, AT_REST, image.c.state.in_(_ARRIVED))
    if before is not None:
        ids = ids.where(tuple_(image.c.moved_at, image.c.id) < before)
    order = (image.c.moved_at.desc(), image.c.id.desc())
    return _cards(ledger, ids.order_by(*order).limit(limit), order)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Pictures in ``state``, with ``text`` somewhere in their key."""

    state: State | None = None
    text: str = ""


def matching(ledger: Ledger, batch_id: str, limit: int, wanted: Wanted, after: int = 0) -> list[Card]:
    """The pictures that are wanted, in the order of their rows, those after an id."""
    return _cards(ledger, _matching(batch_id, limit, wanted, after), (image.c.id,))


def views(ledger: Ledger, batch_id: str, limit: int, wanted: Wanted, after: int = 0) -> list[tuple[int, ImageView]]:
    """As :func:`matching`, with all that there is to say of each, after its id."""
    ids = _matching(batch_id, limit, wanted, after)
    with ledger.read() as connection:
        rows = connection.execute(select(image).where(image.c.id.in_(ids.correlate(None))).order_by(image.c.id))
        return [(row.id, view_of(row, None)) for row in rows]


def _matching(batch_id: str, limit: int, wanted: Wanted, after: int) -> Select[tuple[int]]:
    ids = select(image.c.id).where(image.c.batch_id == batch_id, after < _ID)
    if wanted.state is not None:
        ids = ids.where(image.c.state == wanted.state)
    if wanted.text:
        ids = ids.where(image.c.key.icontains(wanted.text, autoescape=True))
    return ids.order_by(_ID).limit(limit)


def _cards(ledger: Ledger, ids: Select[tuple[int]], order: Sequence[ColumnElement[Any]]) -> list[Card]:
    # The ids first: they are found and sorted in an index, and only a page's rows are read.
    query = _CARDS.where(image.c.id.in_(ids.correlate(None))).order_by(*order)
    with ledger.read() as connection:
        rows: Sequence[_Row] = connection.execute(query).all()
    return [replace(Card(*row), state=State(row.state)) for row in rows]


def find_image(ledger: Ledger, batch_id: str, image_id: int) -> ImageView | None:
    """One image of a batch."""
    query = select(image, thumbnail.c.jpeg).outerjoin(thumbnail, thumbnail.c.fingerprint == image.c.fingerprint)
    with ledger.read() as connection:
        row = connection.execute(query.where(image.c.id == image_id, image.c.batch_id == batch_id)).first()
    return None if row is None else view_of(row, row.jpeg)


def calls(ledger: Ledger, image_id: int) -> list[AttemptRow]:
    """Every paid call for an image, oldest first."""
    query = select(*(attempt.c[name] for name in AttemptRow.__slots__)).where(attempt.c.image_id == image_id)
    with ledger.read() as connection:
        return [AttemptRow(*row) for row in connection.execute(query.order_by(attempt.c.id))]


def revisions(ledger: Ledger, image_id: int) -> list[RevisionRow]:
    """What an image was before each retry or fallback, oldest first."""
    columns = (image.c.variant, *(revision.c[name] for name in RevisionRow.__slots__[1:]))
    query = select(*columns).join_from(revision, image, image.c.id == revision.c.image_id)
    with ledger.read() as connection:
        rows = connection.execute(query.where(revision.c.image_id == image_id).order_by(revision.c.id))
        return [RevisionRow(*row) for row in rows]


def first_skipped(ledger: Ledger, batch_id: str, limit: int) -> list[SkippedRow]:
    """The first rows that were left out."""
    columns = (skipped_row.c.line, skipped_row.c.problems, skipped_row.c.row)
    query = select(*columns).where(skipped_row.c.batch_id == batch_id).order_by(skipped_row.c.line).limit(limit)
    with ledger.read() as connection:
        return [SkippedRow(line, tuple(problems), row) for line, problems, row in connection.execute(query)]


def find_thumbnail(ledger: Ledger, fingerprint: str) -> bytes | None:
    """The small JPEG of a picture."""
    with ledger.read() as connection:
        found = connection.scalar(select(thumbnail.c.jpeg).where(thumbnail.c.fingerprint == fingerprint))
    return None if found is None else bytes(found)
