"""Putting a planned batch into the ledger, a thousand images at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update

from tasks.core.errors import InputError
from tasks.core.plan import PlannedImage, RowProblem
from tasks.core.states import ACTIVE, State
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import batch, image, skipped_row
from tasks.ledger.upsert import insert_new

CHUNK = 1000
"""Rows per transaction: large enough that the transaction costs nothing, small enough to hold in memory."""

_ABANDONED_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class NewBatch:
    """What a batch is before it has images. ``catalogue`` is frozen here: prices and texts never change later."""

    id: str
    name: str
    source: str
    template: str
    catalogue: Mapping[str, Any]
    columns: Sequence[str]
    key_pattern: str
    digest: str
    idempotency_key: str | None = None
    budget_usd_micros: int | None = None


def create_batch(ledger: Ledger, new: NewBatch) -> str:
    """Write the batch's row in phase ``planning``: nothing is sent, and nothing rests, until :func:`start`.

    Returns ``new.id``, or the id of the batch that was submitted first under the same idempotency key.
    """
    _discard_abandoned(ledger)
    values = {
        "id": new.id,
        "name": new.name,
        "source": new.source,
        "template": new.template,
        "phase": "planning",
        "total": 0,
        "skipped": 0,
        "round": 1,
        "catalogue": dict(new.catalogue),
        "columns": list(new.columns),
        "key_pattern": new.key_pattern,
        "notes": [],
        "digest": new.digest,
        "idempotency_key": new.idempotency_key,
        "budget_usd_micros": new.budget_usd_micros,
        "reserved_usd_micros": 0,
        "spent_usd_micros": 0,
        "created_at": datetime.now(UTC),
    }
    with ledger.write() as connection:
        if insert_new(connection, batch, [batch.c.idempotency_key], values):
            return new.id
        return str(connection.scalar(select(batch.c.id).where(batch.c.idempotency_key == new.idempotency_key)))


def _discard_abandoned(ledger: Ledger) -> None:
    """Take back batches whose submitter died before :func:`start`: they would keep their idempotency keys."""
    old = datetime.now(UTC) - _ABANDONED_AFTER
    with ledger.read() as connection:
        abandoned = connection.scalars(
            select(batch.c.id).where(batch.c.phase == "planning", batch.c.created_at <= old)
        ).all()
    for batch_id in abandoned:
        discard(ledger, batch_id)


def add_images(ledger: Ledger, batch_id: str, images: Sequence[PlannedImage]) -> None:
    """Insert up to :data:`CHUNK` planned images."""
    now = datetime.now(UTC)
    constant = {
        "batch_id": batch_id,
        "state": State.PLANNED,
        "dispatch_no": 0,
        "fence": 0,
        "attempts": 0,
        "unknowns": 0,
        "delivery_attempts": 0,
        "reserved_usd_micros": 0,
        "cost_usd_micros": 0,
        "reused": False,
        "created_at": now,
        "moved_at": now,
    }
    with ledger.write() as connection:
        connection.execute(image.insert(), [image_values(planned) | constant for planned in images])


def image_values(planned: PlannedImage) -> dict[str, Any]:
    """The columns of an image that its plan decides."""
    return {
        "line": planned.line,
        "key": planned.key,
        "variant": planned.variant,
        "template": planned.template,
        "model": planned.model,
        "prompt": planned.prompt,
        "width": planned.size.width,
        "height": planned.size.height,
        "native_size": str(planned.native_size),
        "parameters": dict(planned.parameters),
        "fingerprint": planned.fingerprint,
        "row": dict(planned.row),
    }


def add_skipped(ledger: Ledger, batch_id: str, problems: Iterable[RowProblem]) -> int:
    """Record the rows left out, one entry per line with all of its problems; returns how many rows."""
    by_line: dict[int, list[RowProblem]] = {}
    for problem in problems:
        by_line.setdefault(problem.line, []).append(problem)
    values = [
        {"batch_id": batch_id, "line": line, "problems": [str(p) for p in found], "row": dict(found[0].values)}
        for line, found in sorted(by_line.items())
    ]
    if values:
        with ledger.write() as connection:
            connection.execute(skipped_row.insert(), values)
    return len(values)


def start(ledger: Ledger, batch_id: str, *, total: int, skipped: int, notes: Sequence[str]) -> None:
    """Every row is in: from here on the batch is real. Raises InputError when it was taken back meanwhile."""
    with ledger.write() as connection:
        moved = connection.execute(
            update(batch)
            .where(batch.c.id == batch_id, batch.c.phase == "planning")
            .values(phase="started", total=total, skipped=skipped, notes=list(notes), started_at=datetime.now(UTC))
        )
    if moved.rowcount != 1:
        raise InputError(f"batch {batch_id} waited too long to be started and was taken back; submit it again")


def discard(ledger: Ledger, batch_id: str) -> None:
    """Take back a batch that never started; one that has is left alone."""
    planning = select(batch.c.id).where(batch.c.id == batch_id, batch.c.phase == "planning")
    with ledger.write() as connection:
        if connection.scalar(planning.with_for_update()) is None:
            return
        connection.execute(delete(image).where(image.c.batch_id == batch_id))
        connection.execute(delete(skipped_row).where(skipped_row.c.batch_id == batch_id))
        connection.execute(delete(batch).where(batch.c.id == batch_id))


def find_unfinished(ledger: Ledger, digest: str) -> str | None:
    """The newest started batch of the same rows and options in which something is still active.

    An empty digest (rows that are not a file) is like no other.
    """
    if not digest:
        return None
    with ledger.read() as connection:
        found = connection.scalar(
            select(batch.c.id)
            .where(
                batch.c.digest == digest,
                batch.c.phase == "started",
                select(image.c.id).where(image.c.batch_id == batch.c.id, image.c.state.in_(ACTIVE)).exists(),
            )
            .order_by(batch.c.created_at.desc())
            .limit(1)
        )
    return None if found is None else str(found)


def find_by_idempotency_key(ledger: Ledger, key: str) -> str | None:
    """The batch that was submitted under this key, if any."""
    with ledger.read() as connection:
        found = connection.scalar(select(batch.c.id).where(batch.c.idempotency_key == key))
    return None if found is None else str(found)
