"""Messages that can be updated: the start of a round until it is over, and what was held until it goes on.

``update_due_at`` says when a message may be updated next. Whoever updates it puts that off by a lease first, so that
one does it at a time, and settles it afterwards. Two updates that overtake each other all the same are put right by
the next one: only the last one of a round that is over makes it ``null``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, or_, select, update

from tasks.core.posts import Posted
from tasks.ledger.engine import Ledger
from tasks.ledger.noticing import untold
from tasks.ledger.schema import batch, hold, notice, summary

_LEASE = timedelta(minutes=1)
"""More than an update can take."""
_OVERLOOKED = timedelta(seconds=5)
"""Whoever has put a hold on asks for it to be told; after so long that counts as lost."""
_MESSAGES = (summary, notice)

_HELD_STILL = (
    select(hold.c.batch_id)
    .where(hold.c.batch_id == notice.c.batch_id, hold.c.model == notice.c.name)
    .where(hold.c.reason == notice.c.kind, hold.c.since == notice.c.since)
    .exists()
)


@dataclass(frozen=True, slots=True)
class Following:
    """The right to update a posted message, and what it said last. ``keys`` are its rows, ``table`` where they are."""

    batch_id: str
    posted: Posted
    message: Mapping[str, Any]
    table: Table
    keys: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class FollowingStart(Following):
    """A start message. ``over``: its round's end is said; ``superseded``: the batch is in a later round."""

    over: bool
    superseded: bool


def with_news(ledger: Ledger) -> list[str]:
    """Batches of which there is something to tell, or to update, now."""
    now = datetime.now(UTC)
    unsaid = untold(now).where(hold.c.since < now - _OVERLOOKED).with_only_columns(hold.c.batch_id)
    starts = select(summary.c.batch_id).where(summary.c.update_due_at <= now)
    lifted = select(notice.c.batch_id).where(notice.c.update_due_at <= now, ~_HELD_STILL)
    with ledger.read() as connection:
        found = [batch_id for query in (unsaid, starts, lifted) for batch_id in connection.scalars(query)]
    return list(dict.fromkeys(found))


def start_of(ledger: Ledger, batch_id: str) -> Posted | None:
    """The start message of a batch's latest round that has one, to be answered."""
    posted = select(summary.c.posted).where(
        summary.c.batch_id == batch_id, summary.c.kind == "start", summary.c.posted.is_not(None)
    )
    with ledger.read() as connection:
        found = connection.scalar(posted.order_by(summary.c.round.desc()).limit(1))
    return Posted(**found) if found else None


def hasten(ledger: Ledger, batch_id: str) -> bool:
    """Let a batch's start messages be updated now, since its round is over; whether there are any."""
    open_ = (summary.c.batch_id == batch_id, summary.c.update_due_at.is_not(None))
    with ledger.write() as connection:
        due = update(summary).where(*open_).values(update_due_at=datetime.now(UTC))
        return connection.execute(due).rowcount > 0


def claim_starts(ledger: Ledger, batch_id: str) -> list[FollowingStart]:
    """Take the right to update a batch's start messages that are due."""
    said = summary.alias("said")
    over = select(said.c.batch_id).where(
        said.c.batch_id == summary.c.batch_id, said.c.round == summary.c.round, said.c.kind == "end"
    )
    now = datetime.now(UTC)
    due = select(summary, batch.c.round.label("present"), over.exists().label("over")).join(
        batch, batch.c.id == summary.c.batch_id
    )
    with ledger.write() as connection:
        rows = connection.execute(due.where(summary.c.batch_id == batch_id, summary.c.update_due_at <= now)).all()
        return [
            FollowingStart(
                batch_id,
                Posted(**row.posted),
                row.message,
                summary,
                (_key(summary, row),),
                over=row.over,
                superseded=row.present != row.round,
            )
            for row in rows
            if _lease(connection, summary, [row], now)
        ]


def claim_lifted(ledger: Ledger, batch_id: str) -> list[Following]:
    """Take the right to update what a batch was told to be held and of which nothing is held any more."""
    now = datetime.now(UTC)
    told = select(notice, _HELD_STILL.label("held")).where(
        notice.c.batch_id == batch_id, notice.c.posted.is_not(None), notice.c.update_due_at.is_not(None)
    )
    with ledger.write() as connection:
        rows = sorted(connection.execute(told).all(), key=lambda row: str(row.posted["ts"]))
        messages = [list(each) for _ts, each in groupby(rows, key=lambda row: row.posted["ts"])]
        return [
            Following(
                batch_id, Posted(**each[0].posted), each[0].message, notice, tuple(_key(notice, row) for row in each)
            )
            for each in messages
            # What is held in part is looked at again when the lease is over.
            if not all(row.held for row in each)
            and _lease(connection, notice, each, now)
            and not any(row.held for row in each)
        ]


def _lease(connection: Connection, table: Table, rows: Iterable[Any], now: datetime) -> bool:
    mine = _these(table, [_key(table, row) for row in rows])
    due = update(table).where(mine, table.c.update_due_at <= now).values(update_due_at=now + _LEASE)
    return connection.execute(due).rowcount > 0


def settle(ledger: Ledger, following: Following, message: Mapping[str, Any], due_at: datetime | None) -> None:
    """Write down what the message says now, and when it may be updated next: ``None`` is never."""
    values = {"message": dict(message), "update_due_at": due_at}
    with ledger.write() as connection:
        connection.execute(update(following.table).where(_these(following.table, following.keys)).values(**values))


def put_off(ledger: Ledger, until: datetime) -> None:
    """Update nothing before then: Slack has asked for that."""
    with ledger.write() as connection:
        for table in _MESSAGES:
            sooner = update(table).where(table.c.update_due_at < until)
            connection.execute(sooner.values(update_due_at=until))


def _key(table: Table, row: Any) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in table.primary_key}


def _these(table: Table, keys: Iterable[Mapping[str, Any]]) -> ColumnElement[bool]:
    return or_(*(and_(*(table.c[name] == value for name, value in key.items())) for key in keys))
