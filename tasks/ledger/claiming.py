"""Claim before pay: the one transaction that gives a worker the right to spend money on an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, case, or_, select, update

from tasks.core.day_budget import DayBudget
from tasks.core.dispatch import Ticket
from tasks.core.errors import LeaseLost, Superseded
from tasks.core.holds import WHOLE, Reason
from tasks.core.pictures import Size
from tasks.core.references import Reference
from tasks.core.states import BOUGHT, State
from tasks.ledger import holding
from tasks.ledger.engine import Ledger
from tasks.ledger.reserving import Shortage, reserve
from tasks.ledger.rows import Claim
from tasks.ledger.schema import attempt, batch, hold, image, picture, worker
from tasks.ledger.upsert import insert_new

_MOMENT = timedelta(seconds=3)
"""What another call has in hand is looked at again after so long."""


# Built once: making a statement costs more than running it. An update takes its SET columns from the values given.
# A hold of the whole batch before one of the model alone.
_HOLD = select(hold.c.model).where(
    hold.c.batch_id == image.c.batch_id, or_(hold.c.model == WHOLE, hold.c.model == image.c.model)
)
_HELD_BY = _HOLD.order_by(hold.c.model).limit(1).scalar_subquery()
_LEASED = select(worker.c.id).where(worker.c.id == bindparam("the_worker"), worker.c.stopped_at.is_(None)).exists()
_NEEDED = (
    *("id", "batch_id", "dispatch_no", "fence", "state", "attempts", "unknowns", "model"),
    *("delivery_starts", "fingerprint"),
    *("key", "prompt", "width", "height", "native_size", "parameters", "reference"),
)
_LOAD: Select[Any] = (
    select(*(image.c[name] for name in _NEEDED), _LEASED.label("leased"), _HELD_BY.label("held_by"))
    .where(image.c.id == bindparam("the_image"))
    .with_for_update(of=image)
)
_MOVE = update(image).where(image.c.id == bindparam("the_image"))
_BEGIN_ATTEMPT = attempt.insert()
_LATEST_CLAIM = select(image, attempt.c.budget_day).outerjoin(
    attempt, and_(attempt.c.image_id == image.c.id, attempt.c.fence == image.c.fence)
)


class NoClaim(StrEnum):
    """Why there is nothing to buy for this message."""

    PAST = "past"  # the image is beyond this step: let the chain go on, the next message may have been lost
    TWIN = "twin"  # the same message is being worked on right now
    NOT_YET = "not yet"  # its last call ended with its worker, and `may_risk` said no
    ADOPTED = "adopted"  # the picture had been bought for another image; this one is `generated` now


@dataclass(frozen=True, slots=True)
class Stopped:
    """The image may not be bought for now and is ``held``, or ``cancelled`` with its batch.

    ``began``: this image met the shortage first. The others of its batch and model follow it
    (:func:`tasks.ledger.holding.apply_holds`).
    """

    batch_id: str
    key: str
    model: str
    message: str
    began: bool


def _yes() -> bool:
    return True


def claim(
    ledger: Ledger,
    ticket: Ticket,
    worker_id: str,
    day: DayBudget | None = None,
    may_risk: Callable[[], bool] = _yes,
) -> Claim | NoClaim | Stopped:
    """Take the image for one paid call, reserving its price; ``day`` is the model's budget for today, if it has one.

    ``may_risk`` is asked for an image whose last call ended with its worker: whether it may be the next one's end.

    Raises Superseded when the message is out of date, or when the image was given back for a moment: its picture is
    being bought for another image, or calls in flight have reserved what is left of the budget.
    Raises LeaseLost when the worker is taken for dead: whatever it claimed would be bought again by others.
    """
    now = datetime.now(UTC)
    with ledger.write() as connection:
        row = _load(connection, ticket, worker_id)
        if row.state in BOUGHT:
            return NoClaim.PAST
        if row.state == State.GENERATING:
            return NoClaim.TWIN
        if row.state != State.QUEUED:
            raise Superseded(f"image {row.key!r} is {row.state}")
        if not row.leased:
            raise LeaseLost(f"worker {worker_id!r} has no living lease; nothing was claimed")
        if row.held_by is None and row.delivery_starts is not None and not may_risk():
            return NoClaim.NOT_YET
        outcome = _decide(ledger, connection, row, worker_id, now, day)
    if outcome is None:
        raise Superseded(f"image {row.key!r} waits a moment: for its picture, the rest of the budget, or another model")
    return outcome


def _decide(  # noqa: PLR0913, PLR0917 – all that a claim goes by
    ledger: Ledger, connection: Connection, row: Row[Any], worker_id: str, now: datetime, day: DayBudget | None
) -> Claim | NoClaim | Stopped | None:
    """Claim the image, adopt its picture, or hold it; ``None``: it was given back for a moment."""
    if row.held_by == WHOLE:
        return _stop(connection, row)
    owner = _register_picture(connection, row)
    if owner is None:
        _adopt(connection, row, now)
        return NoClaim.ADOPTED
    if row.held_by is not None:
        return _stop(connection, row)
    if _is_free(connection, row, owner):
        spec, price = _frozen(ledger, connection, row)
        shortage = reserve(connection, row.batch_id, row.model, price, day)
        if shortage is None:
            budget_day = None if day is None else day.day
            _take(connection, row, worker_id, price, now, budget_day)
            return _claim(row, spec, price, row.fence + 1, row.attempts + 1, budget_day)
        if not shortage.passes:
            return _stop(connection, row, shortage)
    _give_back(connection, row)
    return None


def _give_back(connection: Connection, row: Row[Any]) -> None:
    now = datetime.now(UTC)
    connection.execute(
        _MOVE, {"the_image": row.id, "moved_at": now, "state": State.PLANNED, "not_before": now + _MOMENT}
    )


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


def _is_free(connection: Connection, row: Row[Any], owner: int) -> bool:
    """Whether nobody is buying the picture at this moment; then it is this image's to buy."""
    if owner == row.id:
        return True
    if connection.scalar(select(image.c.state).where(image.c.id == owner)) == State.GENERATING:
        return False
    connection.execute(update(picture).where(picture.c.fingerprint == row.fingerprint).values(image_id=row.id))
    return True


def _stop(connection: Connection, row: Row[Any], shortage: Shortage | None = None) -> Stopped | None:
    """Do to the image what a hold of its batch or model asks for; a ``shortage`` of money is one from here on.

    ``None``: it was given back for a moment, since the model's images are being moved to their fallbacks.
    """
    began = shortage is not None and holding.put_on_hold(
        connection, row.batch_id, row.model, shortage.reason, shortage.message, shortage.until
    )
    why = connection.execute(holding.of_image(row.batch_id, row.model)).first()
    if why is None:  # lifted since: the next claim finds out
        raise Superseded(f"image {row.key!r} was held for a moment")
    if why.falls_back:
        _give_back(connection, row)
        return None
    connection.execute(_MOVE, {"the_image": row.id, **holding.held_values(Reason(why.reason), why.message)})
    return Stopped(row.batch_id, row.key, row.model, why.message, began)


def _take(  # noqa: PLR0913, PLR0917 – all that a claim writes
    connection: Connection, row: Row[Any], worker_id: str, price: int, now: datetime, budget_day: str | None
) -> None:
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
            "budget_day": budget_day,
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
        return held_claim(ledger, connection, *which)


def held_claim(ledger: Ledger, connection: Connection, *which: ColumnElement[bool]) -> Claim | None:
    """The claim that is held on one image, by whomever."""
    return asked_for(ledger, connection, image.c.state == State.GENERATING, *which)


def asked_for(ledger: Ledger, connection: Connection, *which: ColumnElement[bool]) -> Claim | None:
    """The latest claim of one image, settled or not."""
    row = connection.execute(_LATEST_CLAIM.where(*which)).first()
    if row is None:
        return None
    spec, _price = _frozen(ledger, connection, row)
    return _claim(row, spec, row.reserved_usd_micros, row.fence, row.attempts, row.budget_day)


def _frozen(ledger: Ledger, connection: Connection, row: Row[Any]) -> tuple[dict[str, Any], int]:
    """The image's model and its price in micro-dollars, as they were when the batch was submitted."""
    catalogue = ledger.frozen.get(row.batch_id)
    if catalogue is None or row.model not in catalogue["models"]:  # a retry may have brought another model in
        catalogue = connection.execute(select(batch.c.catalogue).where(batch.c.id == row.batch_id)).scalar_one()
        ledger.frozen[row.batch_id] = catalogue
    return catalogue["models"][row.model], int(catalogue["prices_usd_micros"][row.model])


def _claim(  # noqa: PLR0913, PLR0917 – what the claim has changed of the row
    row: Row[Any], spec: dict[str, Any], price: int, fence: int, number: int, budget_day: str | None
) -> Claim:
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
        budget_day=budget_day,
        references=tuple(Reference(**each) for each in row.reference or ()),
    )
