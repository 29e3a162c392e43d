"""Deciding which images get a message, and giving each sending its number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    true,
    update,
)

from tasks.core.dispatch import REMAINING, Dispatch, Ticket
from tasks.core.states import State
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import batch, image, picture

UNCLAIMED = (State.QUEUED, State.GENERATED, State.UPLOADED)
"""States in which a message should be under way and no worker holds the image."""


def release(ledger: Ledger, batch_id: str, model: str, window: int) -> list[Dispatch]:
    """Move planned images of one batch and model to ``queued`` until ``window`` of them are queued.

    Nothing is released of a batch that has not started, or is cancelled. Pictures that were bought before are
    not bought again: their images go straight to ``generated``. The caller publishes the returned dispatches;
    if it dies first, the sweep finds them unclaimed.
    """
    now = datetime.now(UTC)
    mine = and_(image.c.batch_id == batch_id, image.c.model == model)
    started = select(batch.c.id).where(batch.c.id == batch_id, batch.c.phase == "started").exists()
    with ledger.write() as connection:
        # Two releasers would both fill the window.
        ledger.take_turns(connection, f"release {batch_id} {model}")
        queued = connection.scalar(select(func.count()).where(mine, image.c.state == State.QUEUED)) or 0
        if queued >= window:
            return []
        bought = select(picture.c.fingerprint).where(picture.c.fingerprint == image.c.fingerprint, picture.c.bought)
        rows = connection.execute(
            select(image.c.id, image.c.dispatch_no, image.c.batch_id, image.c.model, bought.exists().label("bought"))
            .where(mine, image.c.state == State.PLANNED, due(now), started)
            .order_by(image.c.id)
            .limit(window - queued)
            .with_for_update(of=image, skip_locked=True)
        ).all()
        _move(connection, [row.id for row in rows if row.bought], State.GENERATED, now, reused=True)
        _move(connection, [row.id for row in rows if not row.bought], State.QUEUED, now, reused=False)
    return [_dispatch(row, State.GENERATED if row.bought else State.QUEUED) for row in rows]


def due(now: datetime | BindParameter[Any]) -> ColumnElement[bool]:
    """Whether an image's wait, if it has one, is over."""
    return or_(image.c.not_before.is_(None), image.c.not_before <= now)


def lost(now: datetime, moment: datetime) -> ColumnElement[bool]:
    """Whether an image was sent before ``moment`` and nobody has taken or finished it since, or its wait is over."""
    silent = and_(image.c.not_before.is_(None), image.c.moved_at <= moment)
    return and_(image.c.state.in_(UNCLAIMED), or_(silent, image.c.not_before <= now))


def is_low(ledger: Ledger, batch_id: str, model: str, mark: int) -> bool:
    """Whether at most ``mark`` images of the batch and model are queued while planned ones are due."""
    here = {"the_batch": batch_id, "the_model": model}
    with ledger.read() as connection:
        if connection.scalar(_WAITING, {**here, "now": datetime.now(UTC)}) is None:
            return False
        return (connection.scalar(_QUEUED, here) or 0) <= mark


_HERE = and_(image.c.batch_id == bindparam("the_batch"), image.c.model == bindparam("the_model"))
# Built once: they are asked after every picture.
_WAITING = (
    select(image.c.id)
    .where(_HERE, image.c.state == State.PLANNED, due(bindparam("now", type_=image.c.not_before.type)))
    .limit(1)
)
_QUEUED = select(func.count()).where(_HERE, image.c.state == State.QUEUED)


def _move(connection: Connection, ids: Sequence[int], state: State, now: datetime, *, reused: bool) -> None:
    if not ids:
        return
    values = {"generated_at": now} if reused else {}
    connection.execute(
        update(image)
        .where(image.c.id.in_(ids))
        .values(
            state=state,
            dispatch_no=image.c.dispatch_no + 1,
            delivery_attempts=0,
            moved_at=now,
            not_before=None,
            # An image that paid for its picture itself and comes back is not a reuse.
            reused=case((image.c.cost_usd_micros > 0, False), else_=reused),
            **values,
        )
    )


def redispatch(ledger: Ledger, image_ids: Sequence[int], lost_before: datetime | None = None) -> list[Dispatch]:
    """Send images again that should have a message and perhaps have none; older messages become stale.

    With ``lost_before``, only those that still count as lost: of two sweeps that found the same, one sends.
    """
    if not image_ids:
        return []
    now = datetime.now(UTC)
    with ledger.write() as connection:
        rows = connection.execute(
            select(image.c.id, image.c.dispatch_no, image.c.batch_id, image.c.model, image.c.state)
            .where(image.c.id.in_(image_ids), image.c.state.in_(UNCLAIMED))
            .where(lost(now, lost_before) if lost_before else true())
            .order_by(image.c.id)
            # An image that is locked is being moved by somebody.
            .with_for_update(skip_locked=True)
        ).all()
        connection.execute(
            update(image)
            .where(image.c.id.in_([row.id for row in rows]))
            .values(dispatch_no=image.c.dispatch_no + 1, moved_at=now, not_before=None)
        )
    return [_dispatch(row, State(row.state)) for row in rows]


def _dispatch(row: Row[*tuple[Any, ...]], state: State) -> Dispatch:
    ticket = Ticket(row.id, row.dispatch_no + 1)
    return Dispatch(ticket, batch_id=row.batch_id, model=row.model, steps=REMAINING[state])


def give_back(ledger: Ledger, ticket: Ticket, not_before: datetime | None = None) -> bool:
    """Return a queued image to ``planned`` (this worker does not know its model, or its wait is long)."""
    with ledger.write() as connection:
        result = connection.execute(
            update(image)
            .where(
                image.c.id == ticket.image_id,
                image.c.dispatch_no == ticket.dispatch_no,
                image.c.state == State.QUEUED,
            )
            .values(state=State.PLANNED, not_before=not_before, moved_at=datetime.now(UTC))
        )
    return result.rowcount == 1
