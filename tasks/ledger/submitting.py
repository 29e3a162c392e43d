"""Putting a planned batch into the ledger, a thousand images at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select, update

from tasks.core.plan import PlannedImage, RowProblem
from tasks.core.states import ACTIVE, State
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import batch, image, skipped_row

CHUNK = 1000
"""Rows per transaction: large enough that the transaction costs nothing, small enough to hold in memory."""


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


def create_batch(ledger: Ledger, new: NewBatch) -> None:
    """Write the batch's row in phase ``planning``: nothing is sent, and nothing rests, until :func:`start`."""
    with ledger.write() as connection:
        connection.execute(
            batch.insert().values(
                id=new.id,
                name=new.name,
                source=new.source,
                template=new.template,
                phase="planning",
                total=0,
                skipped=0,
                round=1,
                catalogue=dict(new.catalogue),
                columns=list(new.columns),
                key_pattern=new.key_pattern,
                notes=[],
                digest=new.digest,
                idempotency_key=new.idempotency_key,
                budget_usd_micros=new.budget_usd_micros,
                reserved_usd_micros=0,
                spent_usd_micros=0,
                created_at=datetime.now(UTC),
            )
        )


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
        connection.execute(image.insert(), [_image_values(planned) | constant for planned in images])


def _image_values(planned: PlannedImage) -> dict[str, Any]:
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
    """Every row is in: from here on the batch is real."""
    with ledger.write() as connection:
        connection.execute(
            update(batch)
            .where(batch.c.id == batch_id, batch.c.phase == "planning")
            .values(phase="started", total=total, skipped=skipped, notes=list(notes), started_at=datetime.now(UTC))
        )


def discard(ledger: Ledger, batch_id: str) -> None:
    """Take back a batch that never started."""
    with ledger.write() as connection:
        connection.execute(delete(image).where(image.c.batch_id == batch_id))
        connection.execute(delete(skipped_row).where(skipped_row.c.batch_id == batch_id))
        connection.execute(delete(batch).where(batch.c.id == batch_id, batch.c.phase == "planning"))


def find_unfinished(ledger: Ledger, digest: str) -> str | None:
    """The newest started batch of the same rows and options in which something is still active."""
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
