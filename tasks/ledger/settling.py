"""What a claimed call has come to. Every settlement checks the fence: a late one moves nothing, its picture is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, update

from tasks.core.errors import ErrorClass, StepError, Superseded, WorkerDied
from tasks.core.fallbacks import STAYS, Onward
from tasks.core.pictures import StagedPicture
from tasks.core.retry import Decision
from tasks.core.states import State
from tasks.ledger import falling_back, holding
from tasks.ledger.engine import Ledger
from tasks.ledger.reserving import book
from tasks.ledger.rows import Claim
from tasks.ledger.schema import attempt, image, job, picture, thumbnail
from tasks.ledger.trouble import patiently
from tasks.ledger.upsert import insert_or_replace

# Built once: making a statement costs more than running it. An update takes its SET columns from the values given.
_MOVE = (
    update(image)
    .where(
        image.c.id == bindparam("the_image"),
        image.c.fence == bindparam("the_fence"),
        image.c.state == State.GENERATING,
    )
    .values(worker_id=None, reserved_usd_micros=0, cost_usd_micros=image.c.cost_usd_micros + bindparam("spent"))
)
_END_ATTEMPT = update(attempt).where(
    attempt.c.image_id == bindparam("the_image"), attempt.c.fence == bindparam("the_fence")
)
_END_JOB = update(job).where(job.c.image_id == bindparam("the_image"), job.c.fence == bindparam("the_fence"))
_KEEP = update(picture).where(picture.c.fingerprint == bindparam("the_fingerprint"), ~picture.c.bought)


@dataclass(frozen=True, slots=True)
class Bought:
    """A picture that is safe in staging. ``cost_usd_micros`` is what is booked for it."""

    staged: StagedPicture
    extension: str
    thumbnail_jpeg: bytes
    cost_usd_micros: int
    trace_id: str | None


@patiently
def settle_generated(ledger: Ledger, claim: Claim, bought: Bought) -> None:
    """The call succeeded: book its cost and move the image to ``generated``.

    Raises Superseded when the claim was taken away in the meantime. Its money is counted as spent already, and
    the picture is kept: whoever needs it next adopts it and does not pay again.
    """
    now = datetime.now(UTC)
    cost = bought.cost_usd_micros
    clean = {"error_class": None, "error_step": None, "error_message": None}
    outcome = {"outcome": "generated", "trace_id": bought.trace_id}
    with ledger.write() as connection:
        in_time = _move(
            connection,
            claim,
            now,
            spent=cost,
            state=State.GENERATED,
            generated_at=now,
            delivery_attempts=0,
            delivery_starts=None,
            **clean,
        )
        _record_picture(connection, claim, bought, now)
        if in_time:
            _end_attempt(connection, claim, ended_at=now, cost_usd_micros=cost, **outcome)
            book(connection, claim, cost)
        else:
            _end_attempt(connection, claim, **outcome)
    if not in_time:
        raise _too_late(claim)


@patiently
def keep_late(ledger: Ledger, claim: Claim, bought: Bought) -> None:
    """A picture came after its call was given up: whoever needs it next adopts it. Its money is counted already."""
    with ledger.write() as connection:
        _record_picture(connection, claim, bought, datetime.now(UTC))
        _end_attempt(connection, claim, outcome="generated", trace_id=bought.trace_id)


@patiently
def settle_failure(ledger: Ledger, claim: Claim, error: StepError, decision: Decision, onward: Onward = STAYS) -> bool:
    """The call failed: book what it cost, and do as decided; whether that holds the model of the batch from now on.

    Where ``onward`` has another model for the image it goes on with that, instead of the end that was decided.
    Raises Superseded as :func:`settle_generated`.
    """
    now = datetime.now(UTC)
    spent = _cost_of(claim, error)
    with ledger.write() as connection:
        end = _next(claim, error, decision, now)
        # An image that goes on never is in the state of its end: a webhook would hear of it.
        if not _move(connection, claim, now, spent=spent, **end | ({"state": State.PLANNED} if onward.drawn else {})):
            raise _too_late(claim)
        if onward.drawn is not None:
            falling_back.take_over(connection, {claim.image_id: onward.drawn}, end["state"])
        _end_attempt(
            connection,
            claim,
            ended_at=now,
            outcome=error.error_class,
            message=str(error),
            trace_id=error.trace_id,
            cost_usd_micros=spent,
        )
        began = decision.holds_others and _hold_others(connection, claim, error, decision, onward)
        book(connection, claim, spent)
    if began:
        holding.apply_holds(ledger, claim.batch_id)
    return began


def _hold_others(connection: Connection, claim: Claim, error: StepError, decision: Decision, onward: Onward) -> bool:
    """Do not let ten thousand images find out one by one."""
    seconds = decision.hold_seconds
    until = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
    reason = holding.reason_of(error)
    model, batch_id = claim.spec["alias"], claim.batch_id
    return holding.put_on_hold(connection, batch_id, model, reason, str(error), until, falls_back=onward.others)


def _cost_of(claim: Claim, error: StepError) -> int:
    if error.cost_usd_micros is not None:
        return error.cost_usd_micros
    # Perhaps paid counts as paid: a budget must hold in the worst case.
    return claim.price_usd_micros if error.error_class is ErrorClass.AMBIGUOUS else 0


def _next(claim: Claim, error: StepError, decision: Decision, now: datetime) -> dict[str, Any]:
    free = error.error_class in {ErrorClass.RATE_LIMITED, ErrorClass.NOT_SENT}
    values: dict[str, Any] = {
        # What ends with the hold, ends for this image too.
        "error_class": holding.reason_of(error) if decision.holds_others else error.error_class,
        "error_step": "generate",
        "error_message": str(error),
        "attempts": claim.attempt - 1 if free else claim.attempt,
        "unknowns": claim.unknowns + (error.error_class is ErrorClass.AMBIGUOUS),
        "delivery_starts": 0 if isinstance(error, WorkerDied) else None,
    }
    if decision.end is not None:
        return values | {"state": decision.end}
    # Its message comes again by itself, or a release sends it: either way it takes no room in the queue till then.
    wait = timedelta(seconds=decision.wait_seconds or 0.0)
    return values | {"state": State.PLANNED if decision.gives_back else State.QUEUED, "not_before": now + wait}


def _move(connection: Connection, claim: Claim, now: datetime, *, spent: int, **values: Any) -> bool:
    """Settle the image if the claim still holds; whether it did."""
    held = {"the_image": claim.image_id, "the_fence": claim.fence, "spent": spent}
    moved = connection.execute(_MOVE, {**held, "moved_at": now, **values})
    if claim.later:
        connection.execute(_END_JOB, {"the_image": claim.image_id, "the_fence": claim.fence, "ended_at": now})
    return moved.rowcount == 1


def _too_late(claim: Claim) -> Superseded:
    return Superseded(f"image {claim.key!r}: the claim {claim.fence} was taken away before it was settled")


def _end_attempt(connection: Connection, claim: Claim, **outcome: Any) -> None:
    connection.execute(_END_ATTEMPT, {"the_image": claim.image_id, "the_fence": claim.fence, **outcome})


def _record_picture(connection: Connection, claim: Claim, bought: Bought, now: datetime) -> None:
    """Keep the first picture that came: others may have been published from it already."""
    kept = connection.execute(
        _KEEP,
        {
            "the_fingerprint": claim.fingerprint,
            "image_id": claim.image_id,
            "bought": True,
            "staging_key": bought.staged.key,
            "content_type": bought.staged.content_type,
            "extension": bought.extension,
            "size_bytes": bought.staged.size_bytes,
            "sha256": bought.staged.sha256,
            "cost_usd_micros": bought.cost_usd_micros,
            "bought_at": now,
        },
    )
    if kept.rowcount == 1:
        small = {"fingerprint": claim.fingerprint, "jpeg": bought.thumbnail_jpeg}
        insert_or_replace(connection, thumbnail, [thumbnail.c.fingerprint], small)
