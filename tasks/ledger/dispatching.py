"""Deciding which images get a message, and giving each sending its number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, case, func, or_, select, update

from tasks.core.dispatch import REMAINING, Dispatch, Ticket
from tasks.core.states import State
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import batch, image, picture

UNCLAIMED = (State.QUEUED, State.GENERATED, State.UPLOADED)
"""States in which a message should be under way and no worker holds the image."""


def release(ledger: Ledger, batch_id: str, model: str, window: int) -> list[Dispatch]:
    """Move planned images of one batch and model to ``queued`` until ``window`` of them are queued.

    Pictures that were bought before are not bought again: their images go straight to ``generated``. The
    caller publishes the returned dispatches; if it dies first, the sweep finds them unclaimed.
    """
    now = datetime.now(UTC)
    mine = and_(image.c.batch_id == batch_id, image.c.model == model)
    with ledger.write() as connection:
        # The batch's row is the lock: two releasers would both fill the window.
        connection.execute(select(batch.c.id).where(batch.c.id == batch_id).with_for_update())
        queued = connection.scalar(select(func.count()).where(mine, image.c.state == State.QUEUED)) or 0
        if queued >= window:
            return []
        ready = or_(image.c.not_before.is_(None), image.c.not_before <= now)
        bought = select(picture.c.fingerprint).where(picture.c.fingerprint == image.c.fingerprint, picture.c.bought)
        rows = connection.execute(
            select(image.c.id, image.c.dispatch_no, image.c.batch_id, image.c.model, bought.exists().label("bought"))
            .where(mine, image.c.state == State.PLANNED, ready)
            .order_by(image.c.id)
            .limit(window - queued)
        ).all()
        _move(connection, [row.id for row in rows if row.bought], State.GENERATED, now, reused=True)
        _move(connection, [row.id for row in rows if not row.bought], State.QUEUED, now, reused=False)
    return [_dispatch(row, State.GENERATED if row.bought else State.QUEUED) for row in rows]


def is_low(ledger: Ledger, batch_id: str, model: str, mark: int) -> bool:
    """Whether at most ``mark`` images of the batch and model are queued while planned ones are due."""
    mine = and_(image.c.batch_id == batch_id, image.c.model == model)
    due = or_(image.c.not_before.is_(None), image.c.not_before <= datetime.now(UTC))
    waiting = select(image.c.id).where(mine, image.c.state == State.PLANNED, due).limit(1)
    with ledger.read() as connection:
        if connection.scalar(waiting) is None:
            return False
        return (connection.scalar(select(func.count()).where(mine, image.c.state == State.QUEUED)) or 0) <= mark


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


def redispatch(ledger: Ledger, image_ids: Sequence[int]) -> list[Dispatch]:
    """Send images again that should have a message and perhaps have none; older messages become stale."""
    if not image_ids:
        return []
    now = datetime.now(UTC)
    with ledger.write() as connection:
        rows = connection.execute(
            select(image.c.id, image.c.dispatch_no, image.c.batch_id, image.c.model, image.c.state)
            .where(image.c.id.in_(image_ids), image.c.state.in_(UNCLAIMED))
            .order_by(image.c.id)
            .with_for_update()
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
