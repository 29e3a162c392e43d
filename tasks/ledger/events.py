"""What a batch's webhook is still to be told: the outbox.

A trigger writes the events of images (migration 0004, decision 32), :func:`write_batch_event` those of batches. Who
sends them has a lease on the batch's row of ``webhook``. What a sender writes down may be lost in a power cut: then
something is told again, under the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, Update, and_, func, or_, select, update

from tasks.core.events import Event, Standing, is_given_up, wait_seconds
from tasks.ledger import counting
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import UNTOLD, batch, event, image, webhook, worker
from tasks.ledger.upsert import insert_or_replace

LEASE = timedelta(seconds=60)
"""How long a sender may be silent: longer than a page of events can take it."""

_TOLD = {"start": ("batch.started", "begun"), "refused": ("batch.refused", "begun"), "end": ("batch.finished", "ended")}
"""The messages of a batch that its webhook gets too: the event's type, and which round of ``webhook`` it is told in."""


@dataclass(frozen=True, slots=True)
class Sending:
    """The right to send a batch's events. ``failures`` is how many tries in a row have told nothing."""

    batch_id: str
    worker_id: str
    url: str
    failures: int


@dataclass(frozen=True, slots=True)
class Failed:
    """An event that could not be told. ``gone``: the webhook has said that it wants no more of this batch."""

    event: Event
    message: str
    retry_after_seconds: float | None = None
    gone: bool = False


def add_webhook(connection: Connection, batch_id: str, url: str) -> None:
    """Let a batch that has no images yet tell this URL of them."""
    connection.execute(webhook.insert().values(batch_id=batch_id, url=url))


def redirect(ledger: Ledger, batch_id: str, url: str) -> None:
    """From now on a batch tells this URL, whatever it told before; one that was given up is tried again."""
    anew = {"batch_id": batch_id, "url": url, "failures": 0}
    unburdened = dict.fromkeys(("not_before", "gave_up_at", "error_message"))
    silent = (image.c.batch_id == batch_id, ~image.c.notifies)
    with ledger.write() as connection:
        connection.execute(update(image).where(*silent).values(notifies=True))
        insert_or_replace(connection, webhook, list(webhook.primary_key), anew | unburdened)


def notifies(connection: Connection, batch_id: str) -> bool:
    """Whether a batch has a webhook."""
    return connection.scalar(select(webhook.c.batch_id).where(webhook.c.batch_id == batch_id)) is not None


def has_webhook(ledger: Ledger, batch_id: str) -> bool:
    """The same, outside of a transaction."""
    with ledger.read() as connection:
        return notifies(connection, batch_id)


def write_batch_event(ledger: Ledger, connection: Connection, batch_id: str, kind: str, round_: int) -> None:
    """Write down that a batch starts, was refused, or rests: once a round, however often that is said."""
    if kind not in _TOLD:
        return
    type_, part = _TOLD[kind]
    told = webhook.c[f"{part}_round"]
    first = update(webhook).where(webhook.c.batch_id == batch_id, told < round_).values({told: round_})
    if connection.execute(first).rowcount != 1:
        return
    row = connection.execute(_BATCH.where(batch.c.id == batch_id)).one()
    counts = counting.tally(connection, batch_id).counts
    details = {**dict(zip(_OF_BATCH, row, strict=True)), "round": round_, "counts": counts}
    now = ledger.clock(connection)
    connection.execute(event.insert().values(batch_id=batch_id, type=type_, details=details, happened_at=now))


_OF_BATCH = ("name", "total", "skipped", "spent_usd_micros", "problems")
_BATCH = select(*(batch.c[name] for name in _OF_BATCH))


def due(ledger: Ledger, batch_id: str | None = None) -> list[str]:
    """Batches with something to tell now that nobody is telling; of one batch, or of all."""
    with ledger.read() as connection:
        now = ledger.clock(connection)
        untold = select(event.c.id).where(event.c.batch_id == webhook.c.batch_id, UNTOLD, _is_due(event, now))
        query = select(webhook.c.batch_id).where(_is_free(now), untold.exists())
        if batch_id is not None:
            query = query.where(webhook.c.batch_id == batch_id)
        return list(connection.scalars(query.order_by(webhook.c.batch_id)))


def _is_due(table: Table, now: datetime) -> ColumnElement[bool]:
    return or_(table.c.not_before.is_(None), table.c.not_before <= now)


def _is_free(now: datetime) -> ColumnElement[bool]:
    """Whether a webhook may be told something, and nobody alive is about it."""
    living = select(worker.c.id).where(worker.c.id == webhook.c.sender_id, worker.c.stopped_at.is_(None)).exists()
    unleased = or_(webhook.c.leased_until.is_(None), webhook.c.leased_until <= now, ~living)
    return and_(webhook.c.gave_up_at.is_(None), _is_due(webhook, now), unleased)


def claim_sending(ledger: Ledger, batch_id: str, worker_id: str) -> Sending | None:
    """Take the right to send a batch's events; ``None`` while another has it, or nothing may be told."""
    with ledger.write(lasting=False) as connection:
        now = ledger.clock(connection)
        row = connection.execute(
            update(webhook)
            .where(webhook.c.batch_id == batch_id, _is_free(now))
            .values(sender_id=worker_id, leased_until=now + LEASE)
            .returning(webhook.c.url, webhook.c.failures)
        ).first()
    return None if row is None else Sending(batch_id, worker_id, row.url, row.failures)


def release_sending(ledger: Ledger, sending: Sending) -> None:
    """Give the right back."""
    mine = (webhook.c.batch_id == sending.batch_id, webhook.c.sender_id == sending.worker_id)
    with ledger.write(lasting=False) as connection:
        connection.execute(update(webhook).where(*mine).values(leased_until=None))


def page(ledger: Ledger, sending: Sending, after_id: int, limit: int) -> list[Event]:
    """What is to be told next, in order, of the events with larger ids than ``after_id``."""
    with ledger.read() as connection:
        mine = (event.c.batch_id == sending.batch_id, event.c.id > after_id, _is_due(event, ledger.clock(connection)))
        rows = connection.execute(_EVENTS.where(UNTOLD, *mine).order_by(event.c.id).limit(limit))
        return [Event(*row) for row in rows]


_OF_EVENT = ("id", "batch_id", "type", "happened_at", "details", "attempts", "image_id")
_EVENTS: Select[Any] = select(*(event.c[name] for name in _OF_EVENT), image.c.key, image.c.variant).outerjoin(
    image, image.c.id == event.c.image_id
)


def settle(
    ledger: Ledger, sending: Sending, told: Sequence[int], failed: Sequence[Failed], give_up_hours: float
) -> Sending | None:
    """Write down what came of some events; how the sending goes on, ``None`` when it does not for now."""
    with ledger.write(lasting=False) as connection:
        now = ledger.clock(connection)
        if told:
            done = update(event).where(event.c.id.in_(told))
            connection.execute(done.values(delivered_at=now, attempts=event.c.attempts + 1, error_message=None))
        for each in failed:
            connection.execute(_failed(each, now, give_up_hours))
        mine = update(webhook).where(webhook.c.batch_id == sending.batch_id)
        if not told and failed:
            connection.execute(mine.values(_failing(sending, failed[0], now, give_up_hours)))
            return None
        # What a living webhook has not taken is that event's trouble alone, and waits by itself.
        alive = {"failures": 0, "not_before": None, "error_message": None} if told else {}
        connection.execute(mine.values(leased_until=now + LEASE, **alive))
    return replace(sending, failures=0) if told else sending


def _failed(failed: Failed, now: datetime, give_up_hours: float) -> Update:
    attempts = failed.event.attempts + 1
    wait = timedelta(seconds=wait_seconds(attempts, failed.retry_after_seconds))
    return (
        update(event)
        .where(event.c.id == failed.event.id)
        .values(
            attempts=attempts,
            not_before=now + wait,
            error_message=failed.message,
            gave_up_at=now if is_given_up(attempts, give_up_hours) else None,
        )
    )


def _failing(sending: Sending, failed: Failed, now: datetime, give_up_hours: float) -> dict[str, Any]:
    failures = sending.failures + 1
    wait = timedelta(seconds=wait_seconds(failures, failed.retry_after_seconds))
    gave_up = failed.gone or is_given_up(failures, give_up_hours)
    return {
        "failures": failures,
        "not_before": now + wait,
        "error_message": failed.message,
        "gave_up_at": now if gave_up else None,
    }


def standing(ledger: Ledger, batch_id: str) -> Standing | None:
    """How it stands with a batch's webhook; ``None`` when it has none."""
    with ledger.read() as connection:
        row = connection.execute(select(webhook).where(webhook.c.batch_id == batch_id)).first()
        if row is None:
            return None
        untold = select(func.count()).select_from(event).where(event.c.batch_id == batch_id, UNTOLD)
        return Standing(connection.scalar(untold) or 0, row.error_message, row.gave_up_at is not None)
