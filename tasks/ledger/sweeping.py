"""What the sweep looks for: work that no message and no living worker will move on."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import Select, select

from tasks.core.dispatch import Ticket
from tasks.core.states import State
from tasks.ledger.dispatching import lost
from tasks.ledger.engine import Ledger
from tasks.ledger.releasing import any_due
from tasks.ledger.schema import batch, image, notice, summary, worker
from tasks.ledger.summing import resting

_SAID = (summary, notice)


def unclaimed_before(
    ledger: Ledger, moment: datetime, limit: int = 1000, *, held: Collection[State] = ()
) -> list[Ticket]:
    """Images that were sent before ``moment`` and that nobody has taken or finished since, or whose wait is over.

    Those in a ``held`` state wait for a destination that is down: they are left alone.
    """
    query = select(image.c.id, image.c.dispatch_no).where(lost(datetime.now(UTC), moment))
    if held:
        query = query.where(image.c.state.not_in(held))
    with ledger.read() as connection:
        rows = connection.execute(query.order_by(image.c.id).limit(limit)).all()
    return [Ticket(row.id, row.dispatch_no) for row in rows]


def next_probe(ledger: Ledger, state: State) -> int | None:
    """Of the images that wait for their destination in this state, the one whose last try is longest ago."""
    parked = (image.c.state == state, image.c.not_before <= datetime.now(UTC))
    with ledger.read() as connection:
        return connection.scalar(select(image.c.id).where(*parked).order_by(image.c.moved_at, image.c.id).limit(1))


def waiting_since(ledger: Ledger, state: State, moment: datetime) -> list[str]:
    """Batches of which a picture that was paid for before then still waits for its destination in this state."""
    waiting = (image.c.state == state, image.c.not_before.is_not(None), image.c.generated_at <= moment)
    with ledger.read() as connection:
        return list(connection.scalars(select(image.c.batch_id).where(*waiting).distinct()))


def undelivered(ledger: Ledger, batch_id: str) -> list[int]:
    """A batch's paid images that wait in the ledger and are due: somebody has just said that they may go on."""
    waited = (image.c.state.in_((State.GENERATED, State.UPLOADED)), image.c.not_before <= datetime.now(UTC))
    with ledger.read() as connection:
        return list(
            connection.scalars(select(image.c.id).where(image.c.batch_id == batch_id, *waited).order_by(image.c.id))
        )


def releasable(ledger: Ledger) -> list[str]:
    """Models of which started batches have planned images that are due."""
    now = datetime.now(UTC)
    with ledger.read() as connection:
        return [model for model in connection.scalars(_MODELS) if model and any_due(connection, model, now)]


def _models_with_planned_images() -> Select[str]:
    """Jumps from model to model in the index: a plain DISTINCT would read every planned image."""
    ordered = select(image.c.model).where(image.c.state == State.PLANNED).order_by(image.c.model).limit(1)
    found = select(ordered.scalar_subquery().label("model")).cte("planned", recursive=True)
    following = ordered.where(image.c.model > found.c.model).scalar_subquery()
    return select(found.union_all(select(following).where(found.c.model.is_not(None))).c.model)


_MODELS = _models_with_planned_images()


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
    unsent = (table.delete().where(table.c.sent_at.is_(None), table.c.worker_id.not_in(living)) for table in _SAID)
    with ledger.write() as connection:
        return sum(connection.execute(each).rowcount for each in unsent)
