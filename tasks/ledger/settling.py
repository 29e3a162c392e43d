"""What a claimed call has come to. Every settlement checks the fence: a late one changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from tasks.core.errors import ErrorClass, StepError, Superseded
from tasks.core.pictures import StagedPicture
from tasks.core.retry import Decision
from tasks.core.states import State
from tasks.ledger.engine import Ledger
from tasks.ledger.rows import Claim
from tasks.ledger.schema import attempt, batch, image, picture, thumbnail
from tasks.ledger.upsert import insert_into


@dataclass(frozen=True, slots=True)
class Bought:
    """A picture that is safe in staging. ``cost_usd_micros`` is what is booked for it."""

    staged: StagedPicture
    extension: str
    thumbnail_jpeg: bytes
    cost_usd_micros: int
    trace_id: str | None


def settle_generated(ledger: Ledger, claim: Claim, bought: Bought) -> None:
    """The call succeeded: book its cost and move the image to ``generated``.

    Raises Superseded when the claim was taken away in the meantime (its money is counted as spent already).
    """
    now = datetime.now(UTC)
    with ledger.write() as connection:
        _move(
            connection,
            claim,
            now,
            spent=bought.cost_usd_micros,
            state=State.GENERATED,
            generated_at=now,
            delivery_attempts=0,
            error_class=None,
            error_step=None,
            error_message=None,
        )
        _end_attempt(
            connection,
            claim,
            now,
            outcome="generated",
            trace_id=bought.trace_id,
            cost_usd_micros=bought.cost_usd_micros,
        )
        _record_picture(connection, claim, bought, now)


def settle_failure(ledger: Ledger, claim: Claim, error: StepError, decision: Decision) -> None:
    """The call failed: book what it cost, and do as decided. Raises Superseded as :func:`settle_generated`."""
    now = datetime.now(UTC)
    spent = _cost_of(claim, error)
    with ledger.write() as connection:
        _move(connection, claim, now, spent=spent, **_next(claim, error, decision, now))
        _end_attempt(
            connection,
            claim,
            now,
            outcome=error.error_class,
            message=str(error),
            trace_id=error.trace_id,
            cost_usd_micros=spent,
        )
        if decision.holds_model:
            _hold_rest(connection, claim, error, now)


def _cost_of(claim: Claim, error: StepError) -> int:
    if error.cost_usd_micros is not None:
        return error.cost_usd_micros
    # Perhaps paid counts as paid: a budget must hold in the worst case.
    return claim.price_usd_micros if error.error_class is ErrorClass.AMBIGUOUS else 0


def _next(claim: Claim, error: StepError, decision: Decision, now: datetime) -> dict[str, Any]:
    free = error.error_class in {ErrorClass.RATE_LIMITED, ErrorClass.NOT_SENT}
    values: dict[str, Any] = {
        "error_class": error.error_class,
        "error_step": "generate",
        "error_message": str(error),
        "attempts": claim.attempt - 1 if free else claim.attempt,
        "unknowns": claim.unknowns + (error.error_class is ErrorClass.AMBIGUOUS),
    }
    if decision.end is not None:
        return values | {"state": decision.end}
    if decision.gives_back:
        wait = timedelta(seconds=decision.wait_seconds or 0.0)
        return values | {"state": State.PLANNED, "not_before": now + wait}
    return values | {"state": State.QUEUED}


def _move(connection: Connection, claim: Claim, now: datetime, *, spent: int, **values: Any) -> None:
    moved = connection.execute(
        update(image)
        .where(image.c.id == claim.image_id, image.c.fence == claim.fence, image.c.state == State.GENERATING)
        .values(
            worker_id=None,
            reserved_usd_micros=0,
            cost_usd_micros=image.c.cost_usd_micros + spent,
            moved_at=now,
            **values,
        )
    )
    if moved.rowcount != 1:
        raise Superseded(f"image {claim.key!r}: the claim {claim.fence} was taken away before it was settled")
    connection.execute(
        update(batch)
        .where(batch.c.id == claim.batch_id)
        .values(
            reserved_usd_micros=batch.c.reserved_usd_micros - claim.price_usd_micros,
            spent_usd_micros=batch.c.spent_usd_micros + spent,
        )
    )


def _end_attempt(connection: Connection, claim: Claim, now: datetime, **outcome: Any) -> None:
    connection.execute(
        update(attempt)
        .where(attempt.c.image_id == claim.image_id, attempt.c.fence == claim.fence)
        .values(ended_at=now, **outcome)
    )


def _record_picture(connection: Connection, claim: Claim, bought: Bought, now: datetime) -> None:
    connection.execute(
        update(picture)
        .where(picture.c.fingerprint == claim.fingerprint)
        .values(
            image_id=claim.image_id,
            bought=True,
            staging_key=bought.staged.key,
            content_type=bought.staged.content_type,
            extension=bought.extension,
            size_bytes=bought.staged.size_bytes,
            sha256=bought.staged.sha256,
            cost_usd_micros=bought.cost_usd_micros,
            bought_at=now,
        )
    )
    connection.execute(
        insert_into(connection, thumbnail)
        .values(fingerprint=claim.fingerprint, jpeg=bought.thumbnail_jpeg)
        .on_conflict_do_update(index_elements=[thumbnail.c.fingerprint], set_={"jpeg": bought.thumbnail_jpeg})
    )


def _hold_rest(connection: Connection, claim: Claim, error: StepError, now: datetime) -> None:
    """Key or credit is missing: do not let ten thousand images find out one by one."""
    model = select(image.c.model).where(image.c.id == claim.image_id).scalar_subquery()
    connection.execute(
        update(image)
        .where(
            image.c.batch_id == claim.batch_id,
            image.c.model == model,
            image.c.state.in_((State.PLANNED, State.QUEUED)),
        )
        .values(
            state=State.HELD,
            error_class=error.error_class,
            error_step="generate",
            error_message=str(error),
            moved_at=now,
        )
    )
