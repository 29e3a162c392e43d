"""What is held is told once an episode, whoever holds it, and however many workers find out.

An episode is one hold, from its beginning to its end. What goes on by itself may begin again within minutes: that is
told again when an hour has passed. What a person has let go on, and that is held again, is told at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select, update

from tasks.core.holds import OF_THE_BATCH, TOLD, Hold
from tasks.core.posts import Posted
from tasks.ledger.engine import Ledger
from tasks.ledger.holding import as_hold
from tasks.ledger.schema import batch, hold, notice
from tasks.ledger.summing import is_saying
from tasks.ledger.upsert import insert_new

_QUIET = timedelta(hours=1)
_NEWS_FOR = timedelta(days=1)
"""What has been held for longer is no news: an older version of ours has held it."""
_SAME = and_(notice.c.batch_id == hold.c.batch_id, notice.c.kind == hold.c.reason, notice.c.name == hold.c.model)
_TOLD_OF = hold.alias("told_of")


def untold(now: datetime) -> Select[Any]:
    """Holds of batches under way that people are still to be told of."""
    told = or_(
        and_(_SAME, notice.c.since == hold.c.since),
        and_(_SAME, notice.c.claimed_at > now - _QUIET, hold.c.until.is_not(None)),
        and_(notice.c.batch_id == hold.c.batch_id, notice.c.kind == hold.c.reason, _is_of_a_batch_on_hold()),
    )
    news = (hold.c.reason.in_(TOLD), hold.c.since > now - _NEWS_FOR, ~select(notice.c.batch_id).where(told).exists())
    return select(hold).join(batch, and_(batch.c.id == hold.c.batch_id, batch.c.phase == "started")).where(*news)


def _is_of_a_batch_on_hold() -> ColumnElement[bool]:
    """Whether a notice tells of trouble of its whole batch that is still there: each model meets it by itself."""
    same = (_TOLD_OF.c.batch_id == notice.c.batch_id, _TOLD_OF.c.reason == notice.c.kind)
    still = (_TOLD_OF.c.model == notice.c.name, _TOLD_OF.c.since == notice.c.since)
    return and_(notice.c.kind.in_(OF_THE_BATCH), select(_TOLD_OF.c.batch_id).where(*same, *still).exists())


def claim_notices(ledger: Ledger, batch_id: str, worker_id: str) -> list[Hold]:
    """Take the right to tell what is held of a batch and untold; empty when there is nothing, or not yet.

    The start of the round is told first. A claimant that dies before :func:`mark_noticed` is found by the sweep.
    """
    now = datetime.now(UTC)
    with ledger.read() as connection:
        if not connection.execute(untold(now).where(hold.c.batch_id == batch_id)).first():
            return []
    free = (batch.c.id == batch_id, ~is_saying(now))
    with ledger.write() as connection:
        # Two workers that meet the same trouble with two models wait for each other here.
        if connection.scalar(select(batch.c.id).where(*free).with_for_update()) is None:
            return []
        found = connection.execute(untold(now).where(hold.c.batch_id == batch_id).order_by(hold.c.model)).all()
        return [as_hold(row) for row in found if _claim(connection, row, worker_id, now)]


def _claim(connection: Connection, row: Any, worker_id: str, now: datetime) -> bool:
    told = {"batch_id": row.batch_id, "kind": row.reason, "name": row.model, "since": row.since}
    claimed = told | {"worker_id": worker_id, "claimed_at": now}
    return insert_new(connection, notice, list(notice.primary_key), claimed)


def mark_noticed(
    ledger: Ledger, holds: Sequence[Hold], message: dict[str, Any], error: str | None, posted: Posted | None
) -> None:
    """The message went out, or its receiver is dead (``error``): either way it is not sent again.

    Where it can be updated it will be, once nothing that it tells of is held any more.
    """
    now = datetime.now(UTC)
    values = {"sent_at": now, "message": message, "error": error}
    where = {"posted": None if posted is None else asdict(posted), "update_due_at": None if posted is None else now}
    with ledger.write() as connection:
        connection.execute(update(notice).where(_told_of(holds)).values(**values, **where))


def _told_of(holds: Sequence[Hold]) -> ColumnElement[bool]:
    return or_(
        *(
            and_(
                notice.c.batch_id == each.batch_id,
                notice.c.kind == each.reason,
                notice.c.name == each.model,
                notice.c.since == each.since,
            )
            for each in holds
        )
    )
