"""Releasing images to a model's queue, and sharing the queue out among the batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import CTE, Connection, and_, bindparam, case, func, select, update

from tasks.core import waves
from tasks.core.dispatch import Dispatch
from tasks.core.states import State
from tasks.core.waves import WEIGHTS, Bounds, Claimant, Occupancy
from tasks.ledger.dispatching import SENT, dispatch_of, due
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import batch, image, picture

# All of this is answered by the index on (state, model, batch_id, id, not_before) alone.
_NOW = bindparam("now", type_=image.c.not_before.type)
_QUEUED = and_(image.c.state == State.QUEUED, image.c.model == bindparam("the_model"))
_PLANNED = and_(image.c.state == State.PLANNED, image.c.model == bindparam("the_model"))


def _batches_with_planned_images() -> CTE:
    """Jumps from batch to batch: a plain DISTINCT would read every planned image."""
    # ORDER BY and LIMIT rather than min() and EXISTS, whatever PostgreSQL believes about how many are planned.
    ordered = select(image.c.batch_id).where(_PLANNED).order_by(image.c.batch_id).limit(1)
    found = select(ordered.scalar_subquery().label("id")).cte("waiting", recursive=True)
    following = ordered.where(image.c.batch_id > found.c.id).scalar_subquery()
    return found.union_all(select(following).where(found.c.id.is_not(None)))


_WAITING = _batches_with_planned_images()
_DUE = select(image.c.id).where(_PLANNED, image.c.batch_id == batch.c.id, due(_NOW)).correlate(batch)
_SOME = _DUE.limit(bindparam("most")).subquery()
_STARTED = and_(batch.c.id == _WAITING.c.id, batch.c.phase == "started")
_UNDELIVERED = (
    select(image.c.id).where(image.c.state.in_((State.GENERATED, State.UPLOADED))).limit(bindparam("most")).subquery()
)

# Built once: they are asked all the time.
_ANY_DUE = select(batch.c.id).join(_WAITING, _STARTED).where(_DUE.limit(1).scalar_subquery().is_not(None)).limit(1)
_CLAIMANTS = (
    select(batch.c.id, batch.c.priority, select(func.count()).select_from(_SOME).scalar_subquery().label("planned"))
    .join(_WAITING, _STARTED)
    .order_by(func.random())  # of equals, none is always the first
)
_SHARES = (
    select(image.c.batch_id, func.count().label("queued"), func.sum(case((due(_NOW), 1), else_=0)).label("ready"))
    .where(_QUEUED)
    .group_by(image.c.batch_id)
)
_COUNT_UNDELIVERED = select(func.count()).select_from(_UNDELIVERED)
_BOUGHT = select(picture.c.fingerprint).where(picture.c.fingerprint == image.c.fingerprint, picture.c.bought).exists()
_NEXT = (
    select(*SENT, _BOUGHT.label("bought"))
    .where(_PLANNED, image.c.batch_id == bindparam("the_batch"), due(_NOW))
    .order_by(image.c.id)
    .limit(bindparam("most"))
    .with_for_update(of=image, skip_locked=True)
)


def release(ledger: Ledger, model: str, bounds: Bounds) -> list[Dispatch]:
    """Move planned images of a model to ``queued`` until its queue is full, shared out among the started batches.

    Returns them in the order in which they are to be sent. Pictures that were bought before are not bought again:
    their images go straight to ``generated``. The caller publishes the dispatches; if it dies first, the sweep
    finds them unclaimed.
    """
    now = datetime.now(UTC)
    with ledger.write() as connection:
        # Two releasers would both fill the window.
        ledger.take_turns(connection, f"release {model}")
        occupied, ready = _occupancy(connection, model, bounds, now)
        claimants = _claimants(connection, model, bounds, ready, now)
        order = waves.turns(bounds, occupied, claimants)
        rows = {
            batch_id: _take(connection, model, batch_id, images, now) for batch_id, images in Counter(order).items()
        }
    sent = {batch_id: iter(taken) for batch_id, taken in rows.items()}
    # An image that another transaction holds at this moment is missing: its turn is left out.
    return [dispatch for batch_id in order if (dispatch := next(sent[batch_id], None)) is not None]


def is_low(ledger: Ledger, model: str, bounds: Bounds) -> bool:
    """Whether planned images of the model are due, and a wave of them is worth releasing."""
    now = datetime.now(UTC)
    with ledger.read() as connection:
        if not any_due(connection, model, now):
            return False
        occupied, _ready = _occupancy(connection, model, bounds, now)
    return waves.is_low(bounds, occupied)


def any_due(connection: Connection, model: str, now: datetime) -> bool:
    """Whether a started batch has planned images of the model that are due."""
    return connection.scalar(_ANY_DUE, {"the_model": model, "now": now}) is not None


def _occupancy(connection: Connection, model: str, bounds: Bounds, now: datetime) -> tuple[Occupancy, dict[str, int]]:
    """What is in the queue, and how much of it is ready, by batch."""
    shares = connection.execute(_SHARES, {"the_model": model, "now": now}).all()
    undelivered = connection.scalar(_COUNT_UNDELIVERED, {"most": bounds.undelivered}) or 0
    ready = {row.batch_id: row.ready for row in shares}
    queued = sum(row.queued for row in shares)
    return Occupancy(sum(ready.values()), queued - sum(ready.values()), undelivered), ready


def _claimants(
    connection: Connection, model: str, bounds: Bounds, ready: Mapping[str, int], now: datetime
) -> list[Claimant]:
    rows = connection.execute(_CLAIMANTS, {"the_model": model, "most": bounds.window, "now": now})
    return [Claimant(row.id, WEIGHTS[row.priority], ready.get(row.id, 0), row.planned) for row in rows]


def _take(connection: Connection, model: str, batch_id: str, images: int, now: datetime) -> list[Dispatch]:
    wanted = {"the_model": model, "the_batch": batch_id, "most": images, "now": now}
    rows = connection.execute(_NEXT, wanted).all()
    _move(connection, [row.id for row in rows if row.bought], State.GENERATED, now, reused=True)
    _move(connection, [row.id for row in rows if not row.bought], State.QUEUED, now, reused=False)
    return [dispatch_of(row, State.GENERATED if row.bought else State.QUEUED) for row in rows]


def _move(connection: Connection, ids: Sequence[int], state: State, now: datetime, *, reused: bool) -> None:
    if not ids:
        return
    values = {"generated_at": now} if reused else {}
    connection.execute(
        update(image)
        .where(image.c.id.in_(ids))
        .values(
            state=state,
            dispatch_no=image.c.dispatch_no + 1,
            delivery_attempts=0,
            moved_at=now,
            not_before=None,
            # An image that paid for its picture itself and comes back is not a reuse.
            reused=case((image.c.cost_usd_micros > 0, False), else_=reused),
            **values,
        )
    )
