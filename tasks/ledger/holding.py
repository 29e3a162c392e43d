"""What of a batch may not be bought or moved for now, and going on.

A hold is committed first: from then on no claim of its batch (or of its model there) succeeds. The images follow in a
second transaction, which the sweep repeats should its caller die: a hundred thousand take a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, or_, select, update

from tasks.core.dispatch import StepName
from tasks.core.errors import ErrorClass, NoRoom, StagingFailed, StepError
from tasks.core.holds import WHOLE, Hold, Reason
from tasks.core.states import WAITING, State
from tasks.ledger.engine import Ledger
from tasks.ledger.rows import Delivery
from tasks.ledger.schema import attempt, batch, hold, image, picture, worker
from tasks.ledger.upsert import insert_new, insert_or_replace

_UNSENT = (State.PLANNED, State.QUEUED)
_PAID = (State.GENERATED, State.UPLOADED)
_MONEY = (Reason.BUDGET, Reason.DAY_BUDGET)
_MINE = and_(image.c.batch_id == hold.c.batch_id, or_(hold.c.model == WHOLE, image.c.model == hold.c.model))
_BOUGHT = select(picture.c.fingerprint).where(picture.c.fingerprint == image.c.fingerprint, picture.c.bought).exists()
_STOPPED = (
    # What need not be paid goes on while money is all that is missing; what has a fallback is moved to it.
    and_(_MINE, image.c.state.in_(_UNSENT), or_(hold.c.reason.not_in(_MONEY), ~_BOUGHT), ~hold.c.falls_back),
    # A delivery that waits in the ledger has no message that would look.
    and_(_MINE, image.c.state.in_(_PAID), image.c.not_before.is_not(None), hold.c.model == WHOLE),
    and_(_MINE, image.c.state.in_(WAITING), hold.c.reason == Reason.CANCELLED),
)
"""Images that a hold stops and that nobody has in hand."""
_CLEAN: Mapping[str, Any] = {"error_class": None, "error_step": None, "error_message": None}
_LOOKED_AT = 1000
"""Of the ledger's last calls, so many are searched for those of one batch and model."""


def put_on_hold(  # noqa: PLR0913, PLR0917 – the columns of a row
    connection: Connection,
    batch_id: str,
    model: str,
    reason: Reason,
    message: str,
    until: datetime | None = None,
    *,
    falls_back: bool = False,
) -> bool:
    """Hold a model of a batch (or ``WHOLE``); whether it was not held yet. The images follow by :func:`apply_holds`.

    With ``falls_back`` they stay as they are, and awake, until :mod:`tasks.ledger.falling_back` has moved them.
    """
    values = _row(batch_id, model, reason, message) | {"until": until, "falls_back": falls_back}
    return insert_new(connection, hold, list(hold.primary_key), values)


def _row(batch_id: str, model: str, reason: Reason, message: str) -> dict[str, Any]:
    values = {"batch_id": batch_id, "model": model, "reason": reason, "message": message, "until": None}
    return values | {"since": datetime.now(UTC), "falls_back": False}


def hold_batch(ledger: Ledger, batch_id: str, reason: Reason, message: str) -> bool:
    """Hold all of a batch until a person resumes it; whether it was not held yet."""
    with ledger.write() as connection:
        began = put_on_hold(connection, batch_id, WHOLE, reason, message)
    apply_holds(ledger, batch_id)
    return began


def reason_of(error: StepError) -> Reason:
    """Why an error holds more than the image that met it."""
    if isinstance(error, NoRoom | StagingFailed):
        return Reason.NO_ROOM
    return Reason.ACCOUNT if error.error_class is ErrorClass.ACCOUNT else Reason.FAILURES


def holds(ledger: Ledger, batch_id: str) -> list[Hold]:
    """What is held of a batch."""
    with ledger.read() as connection:
        rows = connection.execute(select(hold).where(hold.c.batch_id == batch_id).order_by(hold.c.model))
        return [as_hold(row) for row in rows.all()]


def as_hold(row: Any) -> Hold:
    """A row of the table."""
    return Hold(row.batch_id, row.model, Reason(row.reason), row.message, row.since, row.until, row.falls_back)


def of_image(batch_id: str, model: str) -> Select[Any]:
    """What holds an image: its whole batch before its model alone."""
    mine = and_(hold.c.batch_id == batch_id, hold.c.model.in_((WHOLE, model)))
    return select(hold).where(mine).order_by(hold.c.model).limit(1)


def pause(ledger: Ledger, batch_id: str) -> None:
    """Stop buying and delivering; calls in flight settle, and their pictures wait."""
    with ledger.write() as connection:
        _replace_hold(connection, batch_id, Reason.PAUSED, "paused by a person")
    apply_holds(ledger, batch_id)


def cancel(ledger: Ledger, batch_id: str) -> None:
    """End the batch. What is in flight settles; a picture that is paid for and not published yet is kept for later."""
    with ledger.write() as connection:
        connection.execute(update(batch).where(batch.c.id == batch_id).values(phase="cancelled"))
        _replace_hold(connection, batch_id, Reason.CANCELLED, "cancelled by a person")
    apply_holds(ledger, batch_id)


def _replace_hold(connection: Connection, batch_id: str, reason: Reason, message: str) -> None:
    """A person's word counts for more than what has held the batch before."""
    insert_or_replace(connection, hold, list(hold.primary_key), _row(batch_id, WHOLE, reason, message))


def apply_holds(ledger: Ledger, batch_id: str | None = None) -> list[str]:
    """Move what holds stop out of the way, of one batch or of all; the batches that had some."""
    moves = or_(*(select(image.c.id).where(which).exists() for which in _STOPPED))
    query = select(hold).where(moves)
    with ledger.read() as connection:
        found = connection.execute(query if batch_id is None else query.where(hold.c.batch_id == batch_id)).all()
    for row in found:
        with ledger.write() as connection:
            _follow(connection, row)
    return [row.batch_id for row in found]


def _follow(connection: Connection, held: Any) -> None:
    """Let the images of a hold follow it, unless it was lifted or replaced meanwhile."""
    same = (hold.c.batch_id == held.batch_id, hold.c.model == held.model, hold.c.reason == held.reason)
    ids = select(image.c.id).select_from(image).join(hold, or_(*_STOPPED)).where(*same).correlate(None)
    # In the order in which every move locks images.
    ids = ids.order_by(image.c.id).with_for_update(of=image)
    values = held_values(Reason(held.reason), held.message)
    connection.execute(update(image).where(image.c.id.in_(ids)).values(**values))


def held_values(reason: Reason, message: str, step: str = "generate") -> dict[str, Any]:
    """The columns of an image that a hold keeps from going on, or ends."""
    return {
        "state": State.CANCELLED if reason is Reason.CANCELLED else State.HELD,
        "error_class": reason,
        "error_step": step,
        "error_message": message,
        "not_before": None,
        "moved_at": datetime.now(UTC),
    }


def resume(ledger: Ledger, batch_id: str, budget_usd_micros: int | None = None) -> int:
    """Go on in the next round, with a new budget if one is given; how many images that wait go on.

    What waits for :func:`publish_held` goes on waiting.
    """
    with ledger.write() as connection:
        connection.execute(delete(hold).where(hold.c.batch_id == batch_id))
        moved = _wake(connection, and_(image.c.batch_id == batch_id, image.c.error_class != Reason.PUBLISH))
        budget = {} if budget_usd_micros is None else {"budget_usd_micros": budget_usd_micros}
        _next_round(connection, batch_id, **budget)
    return moved


def lift_due(ledger: Ledger) -> list[str]:
    """Let holds whose time is over go, each batch in its next round; returns the batches."""
    due = hold.c.until <= datetime.now(UTC)
    with ledger.read() as connection:
        found = connection.execute(select(hold.c.batch_id, hold.c.model, hold.c.reason).where(due)).all()
    return [row.batch_id for row in found if _lift(ledger, row)]


def _lift(ledger: Ledger, row: Any) -> bool:
    this = and_(hold.c.batch_id == row.batch_id, hold.c.model == row.model, hold.c.until <= datetime.now(UTC))
    with ledger.write() as connection:
        if connection.execute(delete(hold).where(this)).rowcount != 1:
            return False  # another sweep was quicker, or a person
        held_by = and_(image.c.batch_id == row.batch_id, image.c.model == row.model, image.c.error_class == row.reason)
        if _wake(connection, held_by):  # where all have gone on with a fallback, there is nothing new to tell
            _next_round(connection, row.batch_id)
    return True


def _wake(connection: Connection, which: ColumnElement[bool]) -> int:
    ids = select(image.c.id).where(image.c.state == State.HELD, which).order_by(image.c.id).with_for_update()
    values = {"state": State.PLANNED, "not_before": None, "moved_at": datetime.now(UTC), **_CLEAN}
    return connection.execute(update(image).where(image.c.id.in_(ids)).values(**values)).rowcount


def _next_round(connection: Connection, batch_id: str, **values: Any) -> None:
    """A summary that is just being sent belongs to the round before; this one gets its own."""
    connection.execute(update(batch).where(batch.c.id == batch_id).values(round=batch.c.round + 1, **values))


def publish_held(ledger: Ledger, batch_id: str, keys: Iterable[str] | None = None) -> int:
    """Let pictures that a person has looked at go into the CMS, in the next round; returns how many."""
    now = datetime.now(UTC)
    waits = [image.c.batch_id == batch_id, image.c.state == State.HELD, image.c.error_class == Reason.PUBLISH]
    if keys is not None:
        waits.append(image.c.key.in_(list(keys)))
    ids = select(image.c.id).where(*waits).order_by(image.c.id).with_for_update()
    # With a moment in the past, the sweep sends it at once.
    values = {"state": State.UPLOADED, "not_before": now, "moved_at": now, "delivery_attempts": 0, **_CLEAN}
    with ledger.write() as connection:
        moved = connection.execute(update(image).where(image.c.id.in_(ids)).values(**values)).rowcount
        if moved:
            _next_round(connection, batch_id)
    return moved


def all_failed(ledger: Ledger, batch_id: str, model: str, error_class: ErrorClass, calls: int) -> bool:
    """Whether the last ``calls`` calls of a batch's model have all come to this error."""
    with ledger.read() as connection:
        last = connection.scalars(_last_outcomes(batch_id, model, calls)).all()
    return len(last) == calls and set(last) <= {error_class}


def _last_outcomes(batch_id: str, model: str, calls: int) -> Select[Any]:
    """The latest first. Of the ledger's last calls only: a batch that others have overtaken fails on its own.

    What a worker that died has left open says nothing about the model.
    """
    recent = select(attempt).where(attempt.c.ended_at.is_not(None)).order_by(attempt.c.id.desc()).limit(_LOOKED_AT)
    some = recent.subquery()
    mine = and_(image.c.id == some.c.image_id, image.c.batch_id == batch_id, some.c.model == model)
    lived = and_(worker.c.id == some.c.worker_id, worker.c.died_at.is_(None))
    return select(some.c.outcome).join(image, mine).join(worker, lived).order_by(some.c.id.desc()).limit(calls)


def stop_delivery(ledger: Ledger, delivery: Delivery, step: StepName) -> None:
    """Do to a paid picture what the hold of its whole batch asks for, unless somebody has moved it since."""
    with ledger.write() as connection:
        why = connection.execute(of_image(delivery.batch_id, WHOLE)).first()
        if why is None:
            return
        same = (image.c.id == delivery.image_id, image.c.dispatch_no == delivery.dispatch_no, image.c.state.in_(_PAID))
        values = held_values(Reason(why.reason), why.message, step)
        connection.execute(update(image).where(*same).values(**values))
