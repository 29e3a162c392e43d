"""One lease per worker process: its heartbeat holds everything it has claimed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import func, or_, select, update

from tasks.core.states import State
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import image, worker


def register_worker(ledger: Ledger, hostname: str, queues: Sequence[str]) -> str:
    """Write the worker's row and return its id."""
    worker_id = str(uuid.uuid4())
    now = datetime.now(UTC)
    with ledger.write() as connection:
        connection.execute(
            worker.insert().values(
                id=worker_id, hostname=hostname, queues=list(queues), started_at=now, heartbeat_at=now
            )
        )
    return worker_id


def beat(ledger: Ledger, worker_id: str) -> bool:
    """Prolong the lease; ``False`` when it has been ended: somebody found this worker dead."""
    living = (worker.c.id == worker_id, worker.c.stopped_at.is_(None))
    with ledger.write() as connection:
        prolonged = connection.execute(update(worker).where(*living).values(heartbeat_at=datetime.now(UTC)))
    return prolonged.rowcount == 1


def stop_worker(ledger: Ledger, worker_id: str) -> None:
    """The worker ends; whatever it still holds is free at once."""
    with ledger.write() as connection:
        connection.execute(update(worker).where(worker.c.id == worker_id).values(stopped_at=datetime.now(UTC)))


def reap(ledger: Ledger, expires: timedelta, living: str = "") -> datetime | None:
    """Mark workers whose lease has expired as stopped; returns the latest heartbeat among them, if any died.

    ``living`` is the worker that asks: it may have slept, and has not beaten yet.
    """
    now = datetime.now(UTC)
    dead = (worker.c.stopped_at.is_(None), worker.c.heartbeat_at <= now - expires, worker.c.id != living)
    with ledger.read() as connection:
        last = connection.scalar(select(func.max(worker.c.heartbeat_at)).where(*dead))
    if last is not None:
        with ledger.write() as connection:
            connection.execute(update(worker).where(*dead).values(stopped_at=now))
    return cast("datetime | None", last)


def live_queues(ledger: Ledger, expires: timedelta) -> set[str]:
    """Queues that at least one living worker consumes."""
    with ledger.read() as connection:
        rows = connection.scalars(
            select(worker.c.queues).where(
                worker.c.stopped_at.is_(None), worker.c.heartbeat_at > datetime.now(UTC) - expires
            )
        ).all()
    return {queue for queues in rows for queue in queues}


def orphaned_claims(ledger: Ledger) -> list[int]:
    """Images that are `generating` for a worker that :func:`reap` found dead, or that has stopped."""
    gone = or_(worker.c.stopped_at.is_not(None), worker.c.id.is_(None))
    with ledger.read() as connection:
        return list(
            connection.scalars(
                select(image.c.id)
                .outerjoin(worker, worker.c.id == image.c.worker_id)
                .where(image.c.state == State.GENERATING, gone)
            )
        )
