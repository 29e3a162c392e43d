"""Batches whose rows are in the ledger as they came, and wait for a worker to plan them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from tasks.ledger.engine import Ledger
from tasks.ledger.schema import batch, source_part, summary, worker
from tasks.ledger.submitting import NewBatch, clear, hold, insert_batch

STALE = timedelta(minutes=2)
"""A planner that has written nothing for so long is taken for stuck, although its worker lives."""


@dataclass(frozen=True, slots=True)
class Planning:
    """The right to plan a batch. ``number`` grows with every planner: whoever writes with an old one is late."""

    batch_id: str
    number: int
    request: Mapping[str, Any]


def take_in(ledger: Ledger, new: NewBatch, request: Mapping[str, Any], blocks: Iterable[bytes]) -> str:
    """Write the batch with its source, all or nothing; returns its id, or that of the one with its idempotency key.

    ``request`` is what :class:`Planning` gives back. ``blocks`` are read while other writers wait: have them ready.
    """
    with ledger.write() as connection:
        holder = insert_batch(connection, new, request=dict(request))
        if holder == new.id:
            for number, data in enumerate(blocks):
                connection.execute(source_part.insert(), {"batch_id": new.id, "number": number, "data": data})
    return holder


def claim_planning(ledger: Ledger, batch_id: str, worker_id: str) -> Planning | None:
    """Take the right to plan a batch, and remove what an earlier planner has left; ``None`` when it is taken."""
    with ledger.write() as connection:
        row = connection.execute(
            update(batch)
            .where(batch.c.id == batch_id, batch.c.planner_id.is_(None), _to_plan())
            .values(planner_id=worker_id, planner_no=batch.c.planner_no + 1, planner_seen_at=ledger.clock(connection))
            .returning(batch.c.planner_no, batch.c.request)
        ).first()
        if row is None:
            return None
        if row.planner_no > 1:
            clear(connection, batch_id)
    return Planning(batch_id, row.planner_no, row.request)


def keep_hold(ledger: Ledger, planning: Planning) -> None:
    """Say that the planner is at work. Raises Superseded when another one has taken over."""
    with ledger.write(lasting=False) as connection:
        hold(ledger, connection, planning.batch_id, planning.number)


def let_go(ledger: Ledger, planning: Planning) -> None:
    """Give the right back after trouble that passes: the next message, or the sweep's, finds the batch free."""
    with ledger.write() as connection:
        connection.execute(
            update(batch)
            .where(batch.c.id == planning.batch_id, batch.c.planner_no == planning.number, _to_plan())
            .values(planner_id=None)
        )


def read_source(ledger: Ledger, batch_id: str) -> Iterator[bytes]:
    """The source's bytes, a part at a time."""
    number = 0
    while True:
        with ledger.read() as connection:
            data = connection.scalar(
                select(source_part.c.data).where(source_part.c.batch_id == batch_id, source_part.c.number == number)
            )
        if data is None:
            return
        yield data
        number += 1


def refuse(ledger: Ledger, planning: Planning, problems: Sequence[str]) -> None:
    """End a batch that cannot be started: nothing of it is left but why, and its idempotency key is free.

    A batch that was ordered by message keeps the message's id as its key: delivered again, it is the same order.
    Raises Superseded when another planner has taken over.
    """
    with ledger.write() as connection:
        hold(ledger, connection, planning.batch_id, planning.number)
        clear(connection, planning.batch_id)
        connection.execute(delete(source_part).where(source_part.c.batch_id == planning.batch_id))
        connection.execute(
            update(batch)
            .where(batch.c.id == planning.batch_id)
            .values(**_refused(problems), idempotency_key=planning.request["order"], planner_id=None)
        )


def record_refused(ledger: Ledger, new: NewBatch, order: str, problems: Sequence[str]) -> str:
    """Write down an order that could not even be taken in, under its message's id; returns the batch's id."""
    with ledger.write() as connection:
        return insert_batch(connection, new, **_refused(problems), request={"order": order})


def _refused(problems: Sequence[str]) -> dict[str, Any]:
    return {"phase": "refused", "problems": list(problems)}


def free_unplanned(ledger: Ledger, silence: timedelta) -> list[str]:
    """Batches that somebody should be told to plan: their planner is gone, or no message came in ``silence``.

    Each is handed out once in that time, so that of many sweeps one sends.
    """
    with ledger.write() as connection:
        now = ledger.clock(connection)
        asked = func.coalesce(batch.c.planner_seen_at, batch.c.created_at)
        unplanned = or_(
            and_(batch.c.planner_id.is_(None), asked < now - silence),
            batch.c.planner_id.is_not(None) & (~_planner_lives() | (batch.c.planner_seen_at < now - STALE)),
        )
        rows = connection.execute(
            update(batch)
            .where(_to_plan(), unplanned)
            .values(planner_id=None, planner_seen_at=now)
            .returning(batch.c.id)
        )
        return sorted(rows.scalars())


def _to_plan() -> ColumnElement[bool]:
    return and_(batch.c.phase == "planning", batch.c.request.is_not(None))


def _planner_lives() -> ColumnElement[bool]:
    living = and_(worker.c.id == batch.c.planner_id, worker.c.stopped_at.is_(None))
    return select(worker.c.id).where(living).exists()


def refused_unsaid(ledger: Ledger) -> list[str]:
    """Refused batches of which Slack has not been told."""
    said = and_(summary.c.batch_id == batch.c.id, summary.c.kind == "refused")
    with ledger.read() as connection:
        return list(
            connection.scalars(
                select(batch.c.id).where(batch.c.phase == "refused", ~select(summary.c.batch_id).where(said).exists())
            )
        )
