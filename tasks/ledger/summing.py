"""When a batch rests, what it has come to, and that it is said once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, or_, select, true, update

from tasks.core.posts import Posted
from tasks.core.states import ACTIVE
from tasks.core.summary import BatchSummary
from tasks.ledger import counting
from tasks.ledger.engine import Ledger
from tasks.ledger.events import write_batch_event
from tasks.ledger.schema import batch, image, notice, summary
from tasks.ledger.upsert import insert_new

UPDATE_EVERY = timedelta(seconds=15)
"""How often a start message may be updated: Slack allows some 50 updates a minute for all batches together."""

_SAYING = timedelta(minutes=1)


def is_resting(ledger: Ledger, batch_id: str) -> bool:
    """Whether the batch has started and nothing in it is active."""
    with ledger.read() as connection:
        return connection.scalar(_RESTING, {"the_batch": batch_id}) is not None


def resting() -> ColumnElement[bool]:
    """Whether a row of ``batch`` has started and none of its images is active."""
    active = select(image.c.id).where(image.c.batch_id == batch.c.id, image.c.state.in_(ACTIVE)).exists()
    return and_(batch.c.phase.in_(("started", "cancelled")), ~active)


# Built once: it is asked after every picture.
_RESTING = select(batch.c.id).where(batch.c.id == bindparam("the_batch"), resting())


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a batch: its ``start`` or ``end``, of one round."""

    batch_id: str
    round: int
    kind: str


def claim_message(ledger: Ledger, batch_id: str, kind: str, worker_id: str) -> Said | None:
    """Take the right to send this batch's ``start`` or ``end`` message of its present round.

    Returns ``None`` when the message has been claimed already, and for ``end`` when the batch does not rest, or
    something that comes before it is just being said. A claimant that dies before :func:`mark_sent` is found by the
    sweep, so the message goes out at least once. With the claim the batch's webhook gets its event.
    """
    now = datetime.now(UTC)
    now_due = and_(resting(), ~is_saying(now)) if kind == "end" else true()
    with ledger.write() as connection:
        round_ = connection.scalar(select(batch.c.round).where(batch.c.id == batch_id, now_due))
        if round_ is None:
            return None
        said = {"batch_id": batch_id, "round": round_, "kind": kind}
        values = said | {"worker_id": worker_id, "claimed_at": now}
        claimed = insert_new(connection, summary, list(summary.primary_key), values)
        if claimed:
            write_batch_event(ledger, connection, batch_id, kind, int(round_))
    return Said(batch_id, int(round_), kind) if claimed else None


def is_saying(now: datetime) -> ColumnElement[bool]:
    """Whether somebody is about to say that a row of ``batch`` starts, or what of it is held.

    A minute is more than that can take.
    """
    lately = now - _SAYING
    start = and_(summary.c.batch_id == batch.c.id, summary.c.round == batch.c.round, summary.c.kind == "start")
    starting = select(summary.c.batch_id).where(start, summary.c.sent_at.is_(None), summary.c.claimed_at > lately)
    held = and_(notice.c.batch_id == batch.c.id, notice.c.sent_at.is_(None), notice.c.claimed_at > lately)
    return or_(starting.exists(), select(notice.c.batch_id).where(held).exists())


def mark_sent(
    ledger: Ledger, said: Said, message: Mapping[str, Any], error: str | None, posted: Posted | None = None
) -> None:
    """The message went out, or its receiver is dead (``error``): either way it is not sent again.

    A start that was ``posted`` where it can be updated will be (:mod:`tasks.ledger.following`).
    """
    now = datetime.now(UTC)
    values = {"sent_at": now, "message": dict(message), "error": error}
    if posted is not None:
        due_at = now + UPDATE_EVERY if said.kind == "start" else None
        values |= {"posted": asdict(posted), "update_due_at": due_at}
    this = (summary.c.batch_id == said.batch_id, summary.c.round == said.round, summary.c.kind == said.kind)
    with ledger.write() as connection:
        connection.execute(update(summary).where(*this).values(**values))


def sent_message(ledger: Ledger, batch_id: str, kind: str = "end") -> dict[str, Any] | None:
    """The message of the batch's present round once it was sent: ``{"message": …, "error": … or None}``."""
    with ledger.read() as connection:
        row = connection.execute(
            select(summary.c.message, summary.c.error)
            .join(batch, batch.c.id == summary.c.batch_id)
            .where(
                summary.c.batch_id == batch_id,
                summary.c.round == batch.c.round,
                summary.c.kind == kind,
                summary.c.sent_at.is_not(None),
            )
        ).first()
    return None if row is None else {"message": row.message, "error": row.error}


def summarise(ledger: Ledger, batch_id: str, report_url: str | None = None) -> BatchSummary:
    """Count the batch as it stands now. Raises KeyError for an unknown batch."""
    with ledger.read() as connection:
        row = connection.execute(_BATCH, {"the_batch": batch_id}).first()
        if row is None:
            raise KeyError(batch_id)
        tally = counting.tally(connection, batch_id)
        ended = counting.last_move(connection, batch_id)
        failures = counting.failure_groups(connection, batch_id)
        fallbacks = counting.fallbacks(connection, batch_id)
    started = row.started_at or row.created_at
    return BatchSummary(
        batch_id=batch_id,
        name=row.name,
        round=row.round,
        total=row.total,
        counts=tally.counts,
        skipped_rows=row.skipped,
        models=tuple(tally.by_model),
        started_at=started,
        ended_at=ended or started,
        spent_usd_micros=row.spent_usd_micros,
        reused=tally.reused,
        failures=failures,
        report_url=report_url,
        by_model=tally.by_model,
        phase=row.phase,
        problems=tuple(row.problems),
        unpriced=tuple(model for model in tally.by_model if model in (row.unpriced or ())),
        fallbacks=fallbacks,
        budget_usd_micros=row.budget_usd_micros,
    )


_SUMMED = (
    *("name", "round", "total", "skipped", "started_at", "created_at", "phase", "problems"),
    *("spent_usd_micros", "budget_usd_micros"),
)
_BATCH = select(*(batch.c[name] for name in _SUMMED), batch.c.catalogue["unpriced"].label("unpriced")).where(
    batch.c.id == bindparam("the_batch")
)
