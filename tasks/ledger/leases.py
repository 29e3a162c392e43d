"""One lease per worker process: its heartbeat holds everything it has claimed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import case, func, or_, select, update

from tasks.core.states import State
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import image, worker

EXPIRES = timedelta(seconds=15)
"""How long a lease lasts without a heartbeat, where the preferences do not say otherwise."""

_LAST_MOVES = timedelta(seconds=2)
"""What a worker still moves between the end of its lease and its own, and what its clock may differ by."""


def register_worker(ledger: Ledger, hostname: str, queues: Sequence[str]) -> str:
    """Write the worker's row and return its id."""
    worker_id = str(uuid.uuid4())
    with ledger.write() as connection:
        now = ledger.clock(connection)
        connection.execute(
            worker.insert().values(
                id=worker_id,
                hostname=hostname,
                queues=list(queues),
                started_at=now,
                heartbeat_at=now,
                steady_since=now,
            )
        )
    return worker_id


def beat(ledger: Ledger, worker_id: str, expires: timedelta = EXPIRES) -> None:
    """Prolong the lease, or renew it when this worker was taken for dead: what it still holds is its own again.

    Who has left (:func:`abandon`) stays gone: its heart beats on until its process ends.
    """
    with ledger.write(lasting=False) as connection:
        now = ledger.clock(connection)
        steady = worker.c.stopped_at.is_(None) & (worker.c.heartbeat_at > now - expires)
        connection.execute(
            update(worker)
            .where(worker.c.id == worker_id, or_(worker.c.died_at.is_(None), worker.c.died_at <= now))
            .values(
                heartbeat_at=now,
                steady_since=case((steady, worker.c.steady_since), else_=now),
                stopped_at=None,
                died_at=None,
            )
        )


def stop_worker(ledger: Ledger, worker_id: str) -> None:
    """The worker ends; whatever it still holds is free at once."""
    with ledger.write() as connection:
        connection.execute(update(worker).where(worker.c.id == worker_id).values(stopped_at=ledger.clock(connection)))


def abandon(ledger: Ledger, worker_id: str) -> None:
    """The worker leaves in the middle of its work: its claims are free at once, and its messages count as lost."""
    with ledger.write() as connection:
        now = ledger.clock(connection)
        ends = {"stopped_at": now, "died_at": now + _LAST_MOVES}
        connection.execute(update(worker).where(worker.c.id == worker_id).values(ends))


def reap(ledger: Ledger, expires: timedelta = EXPIRES) -> datetime | None:
    """Mark workers whose lease has expired as stopped; returns the latest heartbeat among them, if any died.

    When the ledger was away, or the whole machine asleep, everybody has missed heartbeats. So nobody is taken for
    dead before another worker has been beating without a gap for the length of a lease.
    """
    with ledger.read() as connection:
        now = ledger.clock(connection)
        living = (worker.c.stopped_at.is_(None), worker.c.heartbeat_at > now - expires)
        witness = connection.scalar(select(func.min(worker.c.steady_since)).where(*living))
        dead = (worker.c.stopped_at.is_(None), worker.c.heartbeat_at <= now - expires)
        last = connection.scalar(select(func.max(worker.c.heartbeat_at)).where(*dead))
    if last is None or witness is None or witness > now - expires:
        return None
    with ledger.write() as connection:
        connection.execute(update(worker).where(*dead).values(stopped_at=now, died_at=now))
    return cast("datetime", last)


def last_death(ledger: Ledger) -> datetime | None:
    """When the latest death of a worker was noticed; ``None`` when all that stopped did so in order."""
    with ledger.read() as connection:
        return cast("datetime | None", connection.scalar(select(func.max(worker.c.died_at))))


def live_queues(ledger: Ledger, expires: timedelta = EXPIRES) -> set[str]:
    """Queues that at least one living worker consumes."""
    with ledger.read() as connection:
        since = ledger.clock(connection) - expires
        rows = connection.scalars(
            select(worker.c.queues).where(worker.c.stopped_at.is_(None), worker.c.heartbeat_at > since)
        ).all()
    return {queue for queues in rows for queue in queues}


def orphaned_claims(ledger: Ledger, claimed_before: datetime | None = None) -> dict[int, int]:
    """Images that are ``generating`` for a worker that :func:`reap` found dead, or that has stopped: id → fence.

    With ``claimed_before``, also those that a living worker has held since then: its settlement was lost. Nobody
    holds those that a provider is at work on (:mod:`tasks.ledger.jobs`).
    """
    gone = or_(worker.c.stopped_at.is_not(None), worker.c.id.is_(None))
    if claimed_before is not None:
        gone = or_(gone, image.c.moved_at <= claimed_before)
    with ledger.read() as connection:
        rows = connection.execute(
            select(image.c.id, image.c.fence)
            .outerjoin(worker, worker.c.id == image.c.worker_id)
            .where(image.c.state == State.GENERATING, image.c.worker_id.is_not(None), gone)
        ).all()
    return {row.id: row.fence for row in rows}


def has_claims(ledger: Ledger, worker_id: str) -> bool:
    """Whether a call of this worker is in flight, or was not settled."""
    mine = select(image.c.id).where(image.c.state == State.GENERATING, image.c.worker_id == worker_id)
    with ledger.read() as connection:
        return connection.execute(mine.limit(1)).first() is not None
