"""Calls that a provider answers later: while it is at work the image is ``generating`` and no worker holds it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, case, delete, or_, select, update

from tasks.core.dispatch import Ticket
from tasks.core.errors import LeaseLost, Superseded
from tasks.core.states import BOUGHT, State
from tasks.ledger.claiming import asked_for, held_claim
from tasks.ledger.engine import Ledger
from tasks.ledger.rows import Claim, Job
from tasks.ledger.schema import OPEN, image, job, worker
from tasks.ledger.trouble import patiently
from tasks.ledger.upsert import insert_new

Message = dict[str, Any]
"""The arguments of ``send_task`` for the task that goes on with an image, in its chain and its chord."""

_OF_ITS_CLAIM = and_(job.c.image_id == image.c.id, job.c.fence == image.c.fence)
_AT_WORK = and_(image.c.state == State.GENERATING, OPEN)
_JOB = select(job)
_HAS_JOB = select(job.c.image_id).where(_OF_ITS_CLAIM, OPEN).exists()
_LEASED = select(worker.c.id).where(worker.c.id == image.c.worker_id, worker.c.stopped_at.is_(None)).exists()


class NoJob(StrEnum):
    """Why there is nothing to collect for this message."""

    PAST = "past"  # the image is beyond this step: let the chain go on, the next message may have been lost
    TWIN = "twin"  # somebody is at it right now


@patiently
def intend(ledger: Ledger, claim: Claim, new: Job, message: Message) -> None:
    """Write down that a job is about to be handed in: whatever becomes of this worker, it is known."""
    values = {"image_id": claim.image_id, "fence": claim.fence, "fingerprint": claim.fingerprint}
    values |= {"provider": new.provider, "message": message, "looks": 0}
    when = {"submitted_at": new.submitted_at, "due_at": new.due_at, "look_at": new.look_at}
    with ledger.write() as connection:
        insert_new(connection, job, list(job.primary_key), values | when)


@patiently
def accepted(ledger: Ledger, claim: Claim, named: Job) -> bool:
    """Write down the provider's own name for the job and let go of the image; whether the provider has called already.

    When the claim was taken away meanwhile, the job's name is kept all the same.
    """
    mine = _job_of(claim.image_id, claim.fence)
    values = {"job_id": named.job_id, "due_at": named.due_at, "look_at": named.look_at}
    with ledger.write() as connection:
        connection.execute(update(image).where(*_claimed(claim)).values(worker_id=None))
        connection.execute(update(job).where(*mine).values(**values))
        return connection.scalar(select(job.c.called_at).where(*mine)) is not None


@patiently
def forget(ledger: Ledger, claim: Claim) -> None:
    """The provider has not taken the job on."""
    with ledger.write() as connection:
        connection.execute(delete(job).where(*_job_of(claim.image_id, claim.fence)))


def _job_of(image_id: int, fence: int) -> tuple[Any, ...]:
    return job.c.image_id == image_id, job.c.fence == fence


def _claimed(claim: Claim) -> tuple[Any, ...]:
    return image.c.id == claim.image_id, image.c.fence == claim.fence, image.c.state == State.GENERATING


def _job(row: Row[Any]) -> Job:
    return Job(
        provider=row.provider,
        submitted_at=row.submitted_at,
        due_at=row.due_at,
        look_at=row.look_at,
        job_id=row.job_id,
        looks=row.looks,
        called=row.called_at is not None,
        said=row.said,
    )


@dataclass(frozen=True, slots=True)
class Called:
    """What a provider's call has come to: the task to send now, if there is one to go on.

    ``too_late``: the job's time was over before, and what it has brought is of use only to whoever needs it next.
    """

    message: Message | None
    too_late: bool


def find(ledger: Ledger, image_id: int, fence: int) -> Job | None:
    """The job of a claim, ended or not."""
    with ledger.read() as connection:
        row = connection.execute(_JOB.where(*_job_of(image_id, fence))).first()
    return None if row is None else _job(row)


def call_came(ledger: Ledger, image_id: int, fence: int, body: bytes, look_at: datetime) -> Called | None:
    """Record that the provider has called about a job, and what it said; ``None`` for a job that nobody knows.

    The first call counts; a repeated one, and one about a job that has ended, changes nothing. Should the message
    that is to be sent get lost, the job is looked at again at ``look_at``. Should a power cut undo it, nobody has
    called, and the provider is asked as for any call that never came: so it does not wait for the disk.
    """
    the_job = _job_of(image_id, fence)
    news = {"called_at": datetime.now(UTC), "said": body, "look_at": look_at}
    with ledger.write(lasting=False, hurry=True) as connection:
        first = connection.execute(update(job).where(*the_job, job.c.called_at.is_(None)).values(**news))
        row = connection.execute(select(job.c.message, job.c.ended_at).where(*the_job)).first()
    if row is None:
        return None
    news_of = bool(first.rowcount)
    return Called(row.message if news_of and row.ended_at is None else None, news_of and row.ended_at is not None)


def late(ledger: Ledger, image_id: int, fence: int) -> tuple[Claim, Job] | None:
    """A job that has ended without its picture, and what it was asked for; ``None`` when nobody needs that any more."""
    with ledger.read() as connection:
        row = connection.execute(_JOB.where(*_job_of(image_id, fence))).first()
        if row is None:
            return None
        still_wanted = image.c.fingerprint == row.fingerprint
        claimed = asked_for(ledger, connection, image.c.id == image_id, still_wanted)
    return None if claimed is None else (replace(claimed, fence=fence, later=True), _job(row))


def take(ledger: Ledger, ticket: Ticket, worker_id: str) -> tuple[Claim, Job] | NoJob:
    """Take an image back whose job may have ended.

    Raises Superseded when the message is out of date, LeaseLost as :func:`tasks.ledger.claiming.claim`.
    """
    with ledger.write() as connection:
        state = _state(connection, ticket)
        if state in BOUGHT:
            return NoJob.PAST
        if state != State.GENERATING:
            raise Superseded(f"image {ticket.image_id} is {state}: its job has ended")
        row = connection.execute(_WAITING.where(image.c.id == ticket.image_id)).first()
        if row is None:
            return NoJob.TWIN
        taken = {"worker_id": worker_id, "moved_at": datetime.now(UTC)}
        connection.execute(update(image).where(image.c.id == ticket.image_id).values(**taken))
        if not connection.scalar(select(_LEASED).where(image.c.id == ticket.image_id)):
            raise LeaseLost(f"worker {worker_id!r} has no living lease; nothing was collected")
        claimed = held_claim(ledger, connection, image.c.id == ticket.image_id)
    assert claimed is not None
    return replace(claimed, later=True), _job(row)


_WAITING = select(job).join(image, _OF_ITS_CLAIM).where(_AT_WORK, image.c.worker_id.is_(None))


def _state(connection: Connection, ticket: Ticket) -> State:
    columns = select(image.c.state, image.c.dispatch_no)
    row = connection.execute(columns.where(image.c.id == ticket.image_id).with_for_update()).first()
    if row is None:
        raise Superseded(f"image {ticket.image_id} is not in this ledger")
    if row.dispatch_no != ticket.dispatch_no:
        raise Superseded(f"image {ticket.image_id} was sent again: {ticket.dispatch_no} is older")
    return State(row.state)


@patiently
def look_later(ledger: Ledger, claim: Claim, look_at: datetime) -> None:
    """The job is not ready, or could not be asked about: let go of the image until then."""
    mine = _job_of(claim.image_id, claim.fence)
    with ledger.write(lasting=False) as connection:
        connection.execute(update(image).where(*_claimed(claim)).values(worker_id=None))
        connection.execute(update(job).where(*mine).values(look_at=look_at, looks=job.c.looks + 1))


def due(ledger: Ledger, look_again_at: datetime, limit: int = 1000) -> list[Message]:
    """The tasks that look at jobs whose time has come. They are due again at ``look_again_at``: messages get lost."""
    now = datetime.now(UTC)
    waiting = select(job.c.image_id, job.c.message).join(image, _OF_ITS_CLAIM)
    ripe = (_AT_WORK, image.c.worker_id.is_(None), job.c.look_at <= now)
    with ledger.read() as connection:  # as a rule there are none, and nothing is locked
        if connection.execute(waiting.where(*ripe).limit(1)).first() is None:
            return []
    with ledger.write(lasting=False) as connection:
        query = waiting.where(*ripe).order_by(job.c.look_at).limit(limit)
        rows = connection.execute(query.with_for_update(of=job, skip_locked=True)).all()
        again = update(job).where(job.c.image_id.in_([row.image_id for row in rows]), OPEN, job.c.look_at <= now)
        connection.execute(again.values(look_at=look_again_at))
    return [row.message for row in rows]


def park_orphans(ledger: Ledger, held_since: datetime) -> int:
    """Let go of images whose worker is dead, or has held them since then: their jobs go on without it. How many.

    What is known of such a job is looked at at once.
    """
    now = datetime.now(UTC)
    orphaned = or_(~_LEASED, image.c.moved_at <= held_since)
    mine = and_(image.c.state == State.GENERATING, image.c.worker_id.is_not(None), orphaned, _HAS_JOB)
    with ledger.read() as connection:
        ids = connection.scalars(select(image.c.id).where(mine).order_by(image.c.id)).all()
    return sum(_park(ledger, image_id, mine, now) for image_id in ids)


def park(ledger: Ledger, claim: Claim) -> bool:
    """Let go of an image whose job goes on without its worker; ``False`` when it has none."""
    return _park(ledger, claim.image_id, and_(*_claimed(claim), _HAS_JOB), datetime.now(UTC))


def _park(ledger: Ledger, image_id: int, which: Any, now: datetime) -> bool:
    at_once = case((job.c.job_id.is_not(None), now), else_=job.c.look_at)
    with ledger.write() as connection:
        parked = connection.execute(update(image).where(image.c.id == image_id, which).values(worker_id=None))
        if parked.rowcount:
            connection.execute(update(job).where(job.c.image_id == image_id, OPEN).values(look_at=at_once))
    return parked.rowcount == 1
