"""What the sweep looks for: work that no message and no living worker will move on."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select

from tasks.core.states import State
from tasks.ledger.dispatching import due, lost
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import batch, image, summary, worker
from tasks.ledger.summing import resting


def unclaimed_before(ledger: Ledger, moment: datetime, limit: int = 1000) -> list[int]:
    """Images that were sent before ``moment`` and that nobody has taken or finished since, or whose wait is over."""
    with ledger.read() as connection:
        return list(
            connection.scalars(
                select(image.c.id).where(lost(datetime.now(UTC), moment)).order_by(image.c.id).limit(limit)
            )
        )


def releasable(ledger: Ledger) -> list[tuple[str, str]]:
    """(batch, model) pairs with planned images that are due."""
    # The pairs come from the index alone; the first image that is due ends the look into each.
    pairs = (
        select(image.c.batch_id, image.c.model)
        .join(batch, batch.c.id == image.c.batch_id)
        .where(batch.c.phase == "started", image.c.state == State.PLANNED)
        .distinct()
        .subquery()
    )
    same = (image.c.batch_id == pairs.c.batch_id, image.c.model == pairs.c.model, image.c.state == State.PLANNED)
    any_due = select(image.c.id).where(*same, due(datetime.now(UTC))).exists()
    with ledger.read() as connection:
        return [(row.batch_id, row.model) for row in connection.execute(select(pairs).where(any_due))]


def resting_unsaid(ledger: Ledger) -> list[str]:
    """Batches that rest and whose round has no summary yet, or one whose sender died before sending."""
    said = (
        select(summary.c.batch_id)
        .where(summary.c.batch_id == batch.c.id, summary.c.round == batch.c.round, summary.c.kind == "end")
        .exists()
    )
    with ledger.read() as connection:
        return list(connection.scalars(select(batch.c.id).where(~said, resting())))


def forget_unsent_messages(ledger: Ledger) -> int:
    """Drop claims on messages whose claimant died (see :func:`tasks.ledger.leases.reap`) before it could send."""
    living = select(worker.c.id).where(worker.c.stopped_at.is_(None))
    with ledger.write() as connection:
        result = connection.execute(
            summary.delete().where(summary.c.sent_at.is_(None), summary.c.worker_id.not_in(living))
        )
    return result.rowcount
