"""Claim before pay: the one transaction that gives a worker the right to spend money on an image."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, case, or_, select, update

from tasks.core.dispatch import Ticket
from tasks.core.errors import LeaseLost, Superseded
from tasks.core.pictures import Size
from tasks.core.states import State
from tasks.ledger.engine import Ledger
from tasks.ledger.rows import Claim
from tasks.ledger.schema import attempt, batch, image, picture, worker
from tasks.ledger.upsert import insert_new

_BEYOND = frozenset({State.GENERATED, State.UPLOADED, State.PUBLISHED})
_SAME_PICTURE_WAIT = timedelta(seconds=5)


# Built once: making a statement costs more than running it. An update takes its SET columns from the values given.
_LEASED = select(worker.c.id).where(worker.c.id == bindparam("the_worker"), worker.c.stopped_at.is_(None)).exists()
_NEEDED = (
    *("id", "batch_id", "dispatch_no", "fence", "state", "attempts", "unknowns", "model"),
    *("delivery_starts", "fingerprint"),
    *("key", "prompt", "width", "height", "native_size", "parameters"),
)
_LOAD: Select[Any] = (
    select(*(image.c[name] for name in _NEEDED), _LEASED.label("leased"))
    .where(image.c.id == bindparam("the_image"))
    .with_for_update(of=image)
)
_MOVE = update(image).where(image.c.id == bindparam("the_image"))
_BEGIN_ATTEMPT = attempt.insert()
_PRICE = bindparam("price", type_=batch.c.reserved_usd_micros.type)
_RESERVE = (
    update(batch)
    .where(batch.c.id == bindparam("the_batch"))
    .where(
        or_(
            batch.c.budget_usd_micros.is_(None),
            batch.c.spent_usd_micros + batch.c.reserved_usd_micros + _PRICE <= batch.c.budget_usd_micros,
        )
    )
    .values(reserved_usd_micros=batch.c.reserved_usd_micros + _PRICE)
)


class NoClaim(StrEnum):
    """Why there is nothing to buy for this message."""

    PAST = "past"  # the image is beyond this step: let the chain go on, the next message may have been lost
    TWIN = "twin"  # the same message is being worked on right now
    NOT_YET = "not yet"  # its last call ended with its worker, and `may_risk` said no
    ADOPTED = "adopted"  # the picture had been bought for another image; this one is `generated` now


def claim(
    ledger: Ledger, ticket: Ticket, worker_id: str, may_risk: Callable[[], bool] = lambda: True
) -> Claim | NoClaim:
    """Take the image for one paid call, reserving its price.

    ``may_risk`` is asked for an image whose last call ended with its worker: whether it may be the next one's end.

    Raises Superseded when the message is out of date, when the image was given back because its picture is
    being bought for another image at this moment, or when the budget is reached and the image is held.
    Raises LeaseLost when the worker is taken for dead: whatever it claimed would be bought again by others.
    """
    now = datetime.now(UTC)
    with ledger.write() as connection:
        row = _load(connection, ticket, worker_id)
        if row.state in _BEYOND:
            return NoClaim.PAST
        if row.state == State.GENERATING:
            return NoClaim.TWIN
        if row.state != State.QUEUED:
            raise Superseded(f"image {row.key!r} is {row.state}")
        if not row.leased:
            raise LeaseLost(f"worker {worker_id!r} has no living lease; nothing was claimed")
        if row.delivery_starts is not None and not may_risk():
            return NoClaim.NOT_YET
        owner = _register_picture(connection, row)
        if owner is None:
            _adopt(connection, row, now)
            return NoClaim.ADOPTED
        spec, price = _frozen(ledger, connection, row)
        obstacle = _obstacle(connection, row, owner, price, now)
        if obstacle is None:
            _take(connection, row, worker_id, price, now)
            return _claim(row, spec, price, fence=row.fence + 1, number=row.attempts + 1)
        connection.execute(_MOVE, {"the_image": row.id, "moved_at": now, **obstacle})
    raise Superseded(f"image {row.key!r} waits: {obstacle.get('error_message', 'its picture is being bought')}")


def _load(connection: Connection, ticket: Ticket, worker_id: str) -> Row[Any]:
    row = connection.execute(_LOAD, {"the_image": ticket.image_id, "the_worker": worker_id}).first()
    if row is None:
        raise Superseded(f"image {ticket.image_id} is not in this ledger")
    if row.dispatch_no != ticket.dispatch_no:
        raise Superseded(f"image {row.key!r} was sent again: {ticket.dispatch_no} is older than {row.dispatch_no}")
    return row


def _register_picture(connection: Connection, row: Row[Any]) -> int | None:
    """Put the fingerprint down as being bought; the image that does it, or ``None`` if it is bought already."""
    values = {"fingerprint": row.fingerprint, "image_id": row.id, "bought": False}
    if insert_new(connection, picture, [picture.c.fingerprint], values):
        return int(row.id)
    found = connection.execute(
        select(picture.c.bought, picture.c.image_id).where(picture.c.fingerprint == row.fingerprint).with_for_update()
    ).one()
    return None if found.bought else int(found.image_id)


def _adopt(connection: Connection, row: Row[Any], now: datetime) -> None:
    connection.execute(
        update(image)
        .where(image.c.id == row.id)
        .values(
            state=State.GENERATED,
            # A picture that came after its worker was taken for dead was paid for by this image.
            reused=case((image.c.cost_usd_micros > 0, False), else_=True),
            generated_at=now,
            moved_at=now,
            not_before=None,
            delivery_attempts=0,
            delivery_starts=None,
            error_class=None,
            error_step=None,
            error_message=None,
        )
    )


def _obstacle(connection: Connection, row: Row[Any], owner: int, price: int, now: datetime) -> dict[str, Any] | None:
    """What keeps the image from being bought, as the values to write; ``None`` after reserving the price."""
    if owner != row.id:
        other = connection.scalar(select(image.c.state).where(image.c.id == owner))
        if other == State.GENERATING:
            return {"state": State.PLANNED, "not_before": now + _SAME_PICTURE_WAIT}
        connection.execute(update(picture).where(picture.c.fingerprint == row.fingerprint).values(image_id=row.id))
    reserved = connection.execute(_RESERVE, {"the_batch": row.batch_id, "price": price})
    if reserved.rowcount == 1:
        return None
    message = "the batch's budget is reached"
    return {"state": State.HELD, "error_class": "budget", "error_step": "generate", "error_message": message}


def _take(connection: Connection, row: Row[Any], worker_id: str, price: int, now: datetime) -> None:
    connection.execute(
        _MOVE,
        {
            "the_image": row.id,
            "state": State.GENERATING,
            "worker_id": worker_id,
            "not_before": None,
            "fence": row.fence + 1,
            "attempts": row.attempts + 1,
            "reserved_usd_micros": price,
            "moved_at": now,
        },
    )
    connection.execute(
        _BEGIN_ATTEMPT,
        {
            "image_id": row.id,
            "number": row.attempts + 1,
            "dispatch_no": row.dispatch_no,
            "fence": row.fence + 1,
            "model": row.model,
            "worker_id": worker_id,
            "started_at": now,
        },
    )


def orphan(ledger: Ledger, image_id: int, fence: int) -> Claim | None:
    """The claim of a worker that died holding it; ``None`` when it has been settled after all.

    By its fence: meanwhile the image may have been settled by another sweep and claimed again, by a worker that lives.
    """
    return _held(ledger, image.c.id == image_id, image.c.fence == fence)


def claim_of(ledger: Ledger, ticket: Ticket) -> Claim | None:
    """The claim that this sending of an image has led to; ``None`` when there is none, or it has been settled."""
    return _held(ledger, image.c.id == ticket.image_id, image.c.dispatch_no == ticket.dispatch_no)


def _held(ledger: Ledger, *which: ColumnElement[bool]) -> Claim | None:
    with ledger.read() as connection:
        row = connection.execute(select(image).where(image.c.state == State.GENERATING, *which)).first()
        if row is None:
            return None
        spec, _price = _frozen(ledger, connection, row)
    return _claim(row, spec, row.reserved_usd_micros, fence=row.fence, number=row.attempts)


def _frozen(ledger: Ledger, connection: Connection, row: Row[Any]) -> tuple[dict[str, Any], int]:
    """The image's model and its price in micro-dollars, as they were when the batch was submitted."""
    catalogue = ledger.frozen.get(row.batch_id)
    if catalogue is None:
        catalogue = connection.execute(select(batch.c.catalogue).where(batch.c.id == row.batch_id)).scalar_one()
        ledger.frozen[row.batch_id] = catalogue
    return catalogue["models"][row.model], int(catalogue["prices_usd_micros"][row.model])


def _claim(row: Row[Any], spec: dict[str, Any], price: int, *, fence: int, number: int) -> Claim:
    return Claim(
        image_id=row.id,
        batch_id=row.batch_id,
        dispatch_no=row.dispatch_no,
        fence=fence,
        attempt=number,
        unknowns=row.unknowns,
        key=row.key,
        prompt=row.prompt,
        size=Size(row.width, row.height),
        native_size=Size.parse(row.native_size),
        parameters=row.parameters,
        fingerprint=row.fingerprint,
        price_usd_micros=price,
        spec=spec,
    )
