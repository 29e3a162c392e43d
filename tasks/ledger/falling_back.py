"""Moving images to another model when theirs has given up; what they were is kept as their revision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Update, and_, bindparam, func, literal, select, update

from tasks.core.fallbacks import Drawn
from tasks.core.holds import Hold
from tasks.core.pictures import Size
from tasks.core.states import State
from tasks.ledger.engine import Ledger
from tasks.ledger.holding import as_hold, held_values
from tasks.ledger.schema import UtcDateTime, batch, hold, image, picture, revision
from tasks.ledger.submitting import CHUNK

_WAS = (
    *("template", "model", "prompt", "fingerprint", "attempts", "unknowns"),
    *("error_class", "error_step", "error_message"),
)
_TAKE_OVER = (
    update(image)
    .where(image.c.id == bindparam("the_image"))
    .values(
        state=State.PLANNED,
        asked_model=func.coalesce(image.c.asked_model, image.c.model),
        attempts=0,
        unknowns=0,
        **dict.fromkeys(("delivery_starts", "not_before", "error_class", "error_step", "error_message")),
        **dict.fromkeys(("output_key", "public_url", "cms_receipt", "generated_at")),  # a picture's that it had before
    )
)
_BOUGHT = select(picture.c.fingerprint).where(picture.c.fingerprint == image.c.fingerprint, picture.c.bought).exists()
_UNSENT = and_(
    image.c.batch_id == hold.c.batch_id,
    image.c.model == hold.c.model,
    image.c.state.in_((State.PLANNED, State.QUEUED)),
)
_LEFT = and_(_UNSENT, ~_BOUGHT)  # what need not be paid for is adopted by its next release
_NEEDED = [
    image.c[name]
    for name in (
        *("id", "key", "variant", "template", "prompt", "width", "height", "native_size"),
        *("reference", "model", "asked_model", "unknowns"),
    )
]


@dataclass(frozen=True, slots=True)
class Stuck:
    """An image whose model has given up. ``references`` are digests; ``unknowns`` calls whose outcome nobody knows."""

    id: int
    key: str
    variant: int
    template: str
    prompt: str
    size: Size
    native_size: Size
    references: tuple[str, ...]
    model: str
    asked_model: str
    unknowns: int


Choose = Callable[[Stuck], Drawn | None]
"""The image with its next model; ``None`` where there is none."""


def stuck(ledger: Ledger, image_id: int) -> Stuck:
    """One image, as it is now. Raises KeyError for an unknown one."""
    with ledger.read() as connection:
        row = connection.execute(select(*_NEEDED).where(image.c.id == image_id)).first()
    if row is None:
        raise KeyError(image_id)
    return _stuck(row)


def _stuck(row: Row[Any]) -> Stuck:
    return Stuck(
        id=row.id,
        key=row.key,
        variant=row.variant,
        template=row.template,
        prompt=row.prompt,
        size=Size(row.width, row.height),
        native_size=Size.parse(row.native_size),
        references=tuple(each["sha256"] for each in row.reference or ()),
        model=row.model,
        asked_model=row.asked_model or row.model,
        unknowns=row.unknowns,
    )


def waiting(ledger: Ledger, batch_id: str | None = None) -> list[Hold]:
    """Holds with images that are to go on with their fallbacks, of one batch or of all."""
    found = select(hold).where(hold.c.falls_back, select(image.c.id).where(_LEFT).exists())
    if batch_id is not None:
        found = found.where(hold.c.batch_id == batch_id)
    with ledger.read() as connection:
        rows = connection.execute(found).all()
    return [as_hold(row) for row in rows]


def move_on(ledger: Ledger, held: Hold, choose: Choose) -> Counter[str]:
    """Move the images that a hold keeps from being sent: how many went to which model. The others are ``held``.

    A thousand at a time, so that whoever dies in the middle leaves the rest to the next sweep.
    """
    moved: Counter[str] = Counter()
    while some := _some(ledger, held):
        chosen = {each.id: choose(each) for each in some}
        moved += _move(ledger, held, chosen)
    return moved


def _some(ledger: Ledger, held: Hold) -> list[Stuck]:
    left = select(*_NEEDED).join_from(image, hold, _LEFT).where(_is(held)).limit(CHUNK)
    with ledger.read() as connection:
        return [_stuck(row) for row in connection.execute(left)]


def _is(held: Hold) -> ColumnElement[bool]:
    return and_(hold.c.batch_id == held.batch_id, hold.c.model == held.model, hold.c.falls_back)


def _move(ledger: Ledger, held: Hold, chosen: Mapping[int, Drawn | None]) -> Counter[str]:
    """Let those go on that can, and hold the others."""
    unsent = select(image.c.id).join_from(image, hold, _UNSENT).where(_is(held), image.c.id.in_(chosen))
    with ledger.write() as connection:
        # In the order in which every move locks images.
        ids = connection.scalars(unsent.order_by(image.c.id).with_for_update(of=image)).all()
        going = {id_: drawn for id_ in ids if (drawn := chosen[id_]) is not None}
        why = held_values(held.reason, held.message)
        # What goes on is never seen as held, by a webhook for instance; the lineage says that it was, and why.
        connection.execute(_of(going).values(**why | {"state": State.PLANNED}))
        connection.execute(_of(set(ids) - set(going)).values(**why))
        take_over(connection, going, State.HELD)
    return Counter(drawn.model for drawn in going.values())


def _of(ids: Collection[int]) -> Update:
    return update(image).where(image.c.id.in_(ids))


def take_over(connection: Connection, images: Mapping[int, Drawn], end: State) -> None:
    """Let images go on, by id, as planned for another model: with all their attempts, in the same round.

    Their rows say why already, and the lineage says that they have come to this ``end``.
    """
    now = datetime.now(UTC)
    for model in {drawn.model for drawn in images.values()}:
        ids = [id_ for id_, drawn in images.items() if drawn.model == model]
        new = (batch.c.round, literal(end), literal(now, UtcDateTime()), literal(model))
        was = select(image.c.id, *(image.c[name] for name in _WAS), *new)
        was = was.join_from(image, batch, batch.c.id == image.c.batch_id).where(image.c.id.in_(ids))
        columns = ["image_id", *_WAS, "round", "state", "retried_at", "fell_back_to"]
        connection.execute(revision.insert().from_select(columns, was))
    if images:
        values = [{"the_image": id_, "moved_at": now, **_values(drawn)} for id_, drawn in images.items()]
        connection.execute(_TAKE_OVER, values)


def _values(drawn: Drawn) -> Mapping[str, Any]:
    return {
        "model": drawn.model,
        "native_size": str(drawn.native_size),
        "parameters": dict(drawn.parameters),
        "fingerprint": drawn.fingerprint,
    }
