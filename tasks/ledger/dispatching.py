"""Sending images again, and giving each sending its number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    and_,
    case,
    func,
    or_,
    select,
    true,
    update,
)

from tasks.core.dispatch import REMAINING, Dispatch, Ticket, label_of
from tasks.core.states import State
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import batch, image

UNCLAIMED = (State.QUEUED, State.GENERATED, State.UPLOADED)
"""States in which a message should be under way and no worker holds the image."""


SENT = (
    *(image.c[name] for name in ("id", "dispatch_no", "batch_id", "model", "key", "variant")),
    select(batch.c.name).where(batch.c.id == image.c.batch_id).scalar_subquery().label("batch_name"),
)
"""What is selected of an image to send it: see :func:`dispatch_of`."""

_DELIVERY_LOST = and_(image.c.state != State.QUEUED, image.c.not_before.is_(None))
"""Whether an image that is sent again was under way to its shop. One that waited has no message that could be lost."""


def due(now: datetime | BindParameter[Any]) -> ColumnElement[bool]:
    """Whether an image's wait, if it has one, is over."""
    return or_(image.c.not_before.is_(None), image.c.not_before <= now)


def lost(now: datetime, moment: datetime) -> ColumnElement[bool]:
    """Whether an image was sent before ``moment`` and nobody has taken or finished it since, or its wait is over.

    A queued image with a wait has a message all the same, which comes again by itself; a paid one with a wait has none.
    """
    resumes = and_(image.c.state != State.QUEUED, image.c.not_before.is_not(None))
    return and_(image.c.state.in_(UNCLAIMED), due(now), or_(resumes, image.c.moved_at <= moment))


def redispatch(ledger: Ledger, image_ids: Sequence[int], lost_before: datetime | None = None) -> list[Dispatch]:
    """Send images again that should have a message and perhaps have none; older messages become stale.

    With ``lost_before``, only those that still count as lost: of two sweeps that found the same, one sends.
    A delivery whose message was lost, perhaps with a worker that died of it, is counted from then on.
    """
    if not image_ids:
        return []
    now = datetime.now(UTC)
    with ledger.write() as connection:
        rows = connection.execute(
            select(*SENT, image.c.state)
            .where(image.c.id.in_(image_ids), image.c.state.in_(UNCLAIMED))
            .where(lost(now, lost_before) if lost_before else true())
            .order_by(image.c.id)
            # An image that is locked is being moved by somebody.
            .with_for_update(skip_locked=True)
        ).all()
        connection.execute(
            update(image)
            .where(image.c.id.in_([row.id for row in rows]))
            .values(
                dispatch_no=image.c.dispatch_no + 1,
                moved_at=now,
                not_before=None,
                delivery_starts=case(
                    (_DELIVERY_LOST, func.coalesce(image.c.delivery_starts, 0)), else_=image.c.delivery_starts
                ),
            )
        )
    return [dispatch_of(row, State(row.state)) for row in rows]


def dispatch_of(row: Row[*tuple[Any, ...]], state: State) -> Dispatch:
    """The next sending of an image, as :data:`SENT` has it, that is in that state."""
    ticket = Ticket(row.id, row.dispatch_no + 1)
    label = label_of(ticket, row.batch_name, row.key, row.variant)
    return Dispatch(ticket, batch_id=row.batch_id, model=row.model, steps=REMAINING[state], label=label)


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
