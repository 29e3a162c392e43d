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
    """Prolong the lease, or renew it when this worker was taken for dead: what it still holds is its own again."""
    with ledger.write() as connection:
        now = ledger.clock(connection)
        steady = worker.c.stopped_at.is_(None) & (worker.c.heartbeat_at > now - expires)
        connection.execute(
            update(worker)
            .where(worker.c.id == worker_id)
            .values(
                heartbeat_at=now,
                steady_since=case((steady, worker.c.steady_since), else_=now),
                stopped_at=None,
            )
        )


def stop_worker(ledger: Ledger, worker_id: str) -> None:
    """The worker ends; whatever it still holds is free at once."""
    with ledger.write() as connection:
        connection.execute(update(worker).where(worker.c.id == worker_id).values(stopped_at=ledger.clock(connection)))


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
        connection.execute(update(worker).where(*dead).values(stopped_at=now))
    return cast("datetime", last)


def last_death(ledger: Ledger, expires: timedelta = EXPIRES) -> datetime | None:
    """When the latest death of a worker was noticed; ``None`` when all that stopped did so in order."""
    stopped = select(worker.c.heartbeat_at, worker.c.stopped_at).where(worker.c.stopped_at.is_not(None))
    with ledger.read() as connection:
        rows = connection.execute(stopped.order_by(worker.c.stopped_at.desc()).limit(100)).all()
    return max((row.stopped_at for row in rows if row.stopped_at - row.heartbeat_at >= expires), default=None)


def live_queues(ledger: Ledger, expires: timedelta = EXPIRES) -> set[str]:
    """Queues that at least one living worker consumes."""
    with ledger.read() as connection:
        since = ledger.clock(connection) - expires
        rows = connection.scalars(
            select(worker.c.queues).where(worker.c.stopped_at.is_(None), worker.c.heartbeat_at > since)
        ).all()
    return {queue for queues in rows for queue in queues}


def orphaned_claims(ledger: Ledger, claimed_before: datetime | None = None) -> list[int]:
    """Images that are ``generating`` for a worker that :func:`reap` found dead, or that has stopped.

    With ``claimed_before``, also those that a living worker has held since then: its settlement was lost.
    """
    gone = or_(worker.c.stopped_at.is_not(None), worker.c.id.is_(None))
    if claimed_before is not None:
        gone = or_(gone, image.c.moved_at <= claimed_before)
    with ledger.read() as connection:
        return list(
            connection.scalars(
                select(image.c.id)
                .outerjoin(worker, worker.c.id == image.c.worker_id)
                .where(image.c.state == State.GENERATING, gone)
            )
        )
