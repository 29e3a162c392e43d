"""Doing again what has ended: images go back to ``planned``, and what they were is kept as their revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, delete, func, literal, or_, select, update

from tasks.core.errors import ErrorClass, InputError
from tasks.core.holds import Reason
from tasks.core.plan import PlannedImage
from tasks.core.selection import Selection
from tasks.core.states import State
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import UtcDateTime, batch, hold, image, revision
from tasks.ledger.submitting import CHUNK, image_values

_WAS = (
    *("template", "model", "prompt", "fingerprint", "state", "attempts", "unknowns"),
    *("error_class", "error_step", "error_message"),
)
_AGAIN: Mapping[str, Any] = {
    "state": State.PLANNED,
    "attempts": 0,
    "unknowns": 0,
    "delivery_attempts": 0,
    **dict.fromkeys(("delivery_starts", "not_before", "error_class", "error_step", "error_message")),
}
_OF_THE_ROW = {"line", "key", "variant", "row"}
_NOT_ITS_OWN = dict.fromkeys(("output_key", "public_url", "cms_receipt", "generated_at"))
"""They belong to the picture that the image had before."""

_RETRIED = and_(revision.c.round == bindparam("the_round"), revision.c.fell_back_to.is_(None))
_MOVED = select(revision.c.id).where(revision.c.image_id == image.c.id, _RETRIED).exists()
_REWRITE = (
    update(image)
    .where(image.c.id == bindparam("the_image"), image.c.state == State.PLANNED, _MOVED)
    # Who asks for another model asks anew.
    .values(asked_model=case((image.c.model == bindparam("the_model"), image.c.asked_model)))
)


@dataclass(frozen=True, slots=True)
class Retried:
    """``images`` go on. Of these, nobody knows of ``uncertain`` whether they are paid: they may be paid again."""

    images: int
    uncertain: int


@dataclass(frozen=True, slots=True)
class PlannedBy:
    """What a batch was planned by. ``options`` are those of its request; none in ledgers of earlier versions."""

    phase: str
    template: str
    catalogue: Mapping[str, Any]
    columns: Sequence[str]
    key_pattern: str
    options: Mapping[str, Any]


def planned_by(ledger: Ledger, batch_id: str) -> PlannedBy:
    """Read it. Raises KeyError for an unknown batch."""
    columns = (batch.c.phase, batch.c.template, batch.c.catalogue, batch.c.columns, batch.c.key_pattern)
    with ledger.read() as connection:
        row = connection.execute(select(*columns, batch.c.request).where(batch.c.id == batch_id)).first()
    if row is None:
        raise KeyError(batch_id)
    options = (row.request or {}).get("options", {})
    return PlannedBy(row.phase, row.template, row.catalogue, row.columns, row.key_pattern, options)


@dataclass(frozen=True, slots=True)
class Chosen:
    """An image that would be done again, as it is planned now. ``row`` is its source row, column → text.

    ``reference`` are the pictures that it starts from, as :class:`tasks.core.references.Reference` has them.
    """

    id: int
    line: int
    variant: int
    template: str
    model: str
    row: Mapping[str, str]
    reference: Sequence[Mapping[str, str]] | None


def chosen(ledger: Ledger, batch_id: str, selection: Selection) -> Iterator[Chosen]:
    """The images that would be done again, by line."""
    columns = [image.c[name] for name in Chosen.__slots__]
    ids: list[int] = []
    with ledger.read() as connection:
        for which in _chunks(batch_id, selection, None):
            ids += connection.scalars(select(image.c.id).where(which))
    for some in _parts(sorted(ids)):  # as they were submitted
        with ledger.read() as connection:
            rows = connection.execute(select(*columns).where(image.c.id.in_(some)).order_by(image.c.id)).all()
        yield from (Chosen(*row) for row in rows)


def retry(
    ledger: Ledger,
    batch_id: str,
    selection: Selection,
    edits: Mapping[int, PlannedImage] | None = None,
    catalogue: Mapping[str, Any] | None = None,
) -> Retried:
    """Begin the next round with the chosen images, all or nothing; a round without images is none.

    A picture that has been bought is not bought again. With ``edits`` only the images of these ids are taken, and
    become what is planned there; ``catalogue`` is what the batch's frozen one gets in addition. Asking for cancelled
    images takes the batch's cancellation back. Raises InputError when it is cancelled and they are not asked for, or
    has not started.
    """
    with ledger.write() as connection:
        ledger.take_turns(connection, f"retry {batch_id}")
        round_ = _round(connection, batch_id, selection)
        chunks = list(_chunks(batch_id, selection, edits))
        uncertain = sum(_uncertain(connection, which) for which in chunks)
        images = sum(_move(connection, which, round_) for which in chunks)
        if edits:
            _rewrite(connection, edits, round_)
        if images:
            _next_round(connection, batch_id, selection, catalogue or {})
    return Retried(images, uncertain)


def _round(connection: Connection, batch_id: str, selection: Selection) -> int:
    row = connection.execute(select(batch.c.round, batch.c.phase).where(batch.c.id == batch_id)).one()
    if row.phase == "cancelled" and State.CANCELLED not in selection.states:
        raise InputError(f"{batch_id} is cancelled; --only cancelled takes that back and goes on with it")
    if row.phase not in {"started", "cancelled"}:
        raise InputError(f"{batch_id} is {row.phase}: there is nothing to retry in it")
    return int(row.round)


def _chunks(
    batch_id: str, selection: Selection, edits: Mapping[int, PlannedImage] | None
) -> Iterator[ColumnElement[bool]]:
    """What is chosen, in parts that fit into a statement."""
    mine = and_(image.c.batch_id == batch_id, image.c.state.in_(selection.states))
    if selection.only is not None:
        mine = and_(mine, or_(image.c.state == selection.only, image.c.error_class == selection.only))
    if edits is not None:
        yield from (and_(mine, image.c.id.in_(some)) for some in _parts(list(edits)))
    elif selection.keys is not None:
        yield from (and_(mine, image.c.key.in_(some)) for some in _parts(selection.keys))
    else:
        yield mine


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))


def _uncertain(connection: Connection, which: ColumnElement[bool]) -> int:
    unknown = or_(image.c.state == State.UNKNOWN, image.c.error_class == ErrorClass.AMBIGUOUS)
    bought_by_it = image.c.error_step == "generate"
    return connection.scalar(select(func.count()).where(which, unknown, bought_by_it)) or 0


def _move(connection: Connection, which: ColumnElement[bool], round_: int) -> int:
    now = datetime.now(UTC)
    # Images are locked here, in the order of every move; what comes into the choice after that stays as it is.
    was = select(image.c.id, *(image.c[name] for name in _WAS), literal(round_), literal(now, UtcDateTime()))
    locked = was.where(which).order_by(image.c.id).with_for_update()
    connection.execute(revision.insert().from_select(["image_id", *_WAS, "round", "retried_at"], locked))
    moved = connection.execute(update(image).where(which, _MOVED).values(**_AGAIN, moved_at=now), {"the_round": round_})
    return moved.rowcount


def _rewrite(connection: Connection, edits: Mapping[int, PlannedImage], round_: int) -> None:
    ids = list(edits)
    for some in _parts(ids):
        connection.execute(_REWRITE, [{"the_image": id_, "the_round": round_, **_edited(edits[id_])} for id_ in some])


def _edited(planned: PlannedImage) -> dict[str, Any]:
    values = {name: value for name, value in image_values(planned).items() if name not in _OF_THE_ROW}
    return values | _NOT_ITS_OWN | {"the_model": planned.model}


def _next_round(connection: Connection, batch_id: str, selection: Selection, catalogue: Mapping[str, Any]) -> None:
    values: dict[str, Any] = {"round": batch.c.round + 1}
    mine = batch.c.id == batch_id
    if catalogue:
        frozen = connection.execute(select(batch.c.catalogue).where(mine).with_for_update()).scalar_one()
        values["catalogue"] = frozen | {part: _joined(frozen.get(part), more) for part, more in catalogue.items()}
    if State.CANCELLED in selection.states:
        values["phase"] = "started"
        connection.execute(delete(hold).where(hold.c.batch_id == batch_id, hold.c.reason == Reason.CANCELLED))
    connection.execute(update(batch).where(mine).values(**values))


def _joined(before: Any, more: Any) -> Any:
    """A part of the catalogue with what is new in it: names and what they stand for, or a list."""
    return {**(before or {}), **more} if isinstance(more, Mapping) else [*(before or []), *more]
