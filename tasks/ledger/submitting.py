"""Putting a planned batch into the ledger, a thousand images at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, false, literal_column, select, update

from tasks.core.errors import Superseded
from tasks.core.plan import PlannedImage, RowProblem
from tasks.core.states import ACTIVE, WAITING, State
from tasks.ledger import events
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import batch, image, reference_use, skipped_row, source_part, webhook
from tasks.ledger.upsert import insert_new

CHUNK = 1000
"""Rows per transaction: large enough that the transaction costs nothing, small enough to hold in memory."""

_ABANDONED_AFTER = timedelta(hours=24)
_NAME_CHARS = 200


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
    priority: str = "normal"
    hold_publish: bool = False
    webhook: str | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The batch's row in phase ``planning``."""
        return {
            "id": self.id,
            "name": self.name[:_NAME_CHARS],
            "source": self.source,
            "template": self.template,
            "phase": "planning",
            "priority": self.priority,
            "total": 0,
            "skipped": 0,
            "round": 1,
            "catalogue": dict(self.catalogue),
            "columns": list(self.columns),
            "key_pattern": self.key_pattern,
            "notes": [],
            "digest": self.digest,
            "idempotency_key": self.idempotency_key,
            "budget_usd_micros": self.budget_usd_micros,
            "hold_publish": self.hold_publish,
            "reserved_usd_micros": 0,
            "spent_usd_micros": 0,
            "created_at": datetime.now(UTC),
        }


def create_batch(ledger: Ledger, new: NewBatch) -> str:
    """Write the batch's row in phase ``planning``: nothing is sent, and nothing rests, until :func:`start`.

    Returns ``new.id``, or the id of the batch that was submitted first under the same idempotency key.
    """
    _discard_abandoned(ledger)
    with ledger.write() as connection:
        return insert_batch(connection, new)


def insert_batch(connection: Connection, new: NewBatch, **more: Any) -> str:
    """Write the row, with ``more`` columns; returns its id, or that of the batch that has its idempotency key."""
    if insert_new(connection, batch, [batch.c.idempotency_key], new.values | more):
        if new.webhook is not None:
            events.add_webhook(connection, new.id, new.webhook)
        return new.id
    return str(connection.scalar(select(batch.c.id).where(batch.c.idempotency_key == new.idempotency_key)))


def _discard_abandoned(ledger: Ledger) -> None:
    """Take back batches whose submitter died before :func:`start`: they would keep their idempotency keys."""
    old = datetime.now(UTC) - _ABANDONED_AFTER
    with ledger.read() as connection:
        abandoned = connection.scalars(
            select(batch.c.id).where(batch.c.phase == "planning", batch.c.request.is_(None), batch.c.created_at <= old)
        ).all()
    for batch_id in abandoned:
        discard(ledger, batch_id)


def hold(ledger: Ledger, connection: Connection, batch_id: str, planner_no: int) -> None:
    """See that the batch is still being planned, and by this planner (0 is its submitter). Raises Superseded."""
    held = connection.execute(
        update(batch)
        .where(batch.c.id == batch_id, batch.c.phase == "planning", batch.c.planner_no == planner_no)
        .values(planner_seen_at=ledger.clock(connection))
    )
    if held.rowcount != 1:
        raise Superseded(f"batch {batch_id} is not planned here any more; if it is not there, submit it again")


def add_images(ledger: Ledger, batch_id: str, images: Sequence[PlannedImage], planner_no: int = 0) -> None:
    """Insert up to :data:`CHUNK` planned images. Raises Superseded as :func:`hold` does."""
    now = datetime.now(UTC)
    mine: dict[str, Any] = {"batch_id": batch_id, "created_at": now, "moved_at": now}
    with ledger.write() as connection:
        hold(ledger, connection, batch_id, planner_no)
        mine["notifies"] = events.notifies(connection, batch_id)
        connection.execute(_INSERT, [image_values(planned) | mine for planned in images])
        if uses := _uses(batch_id, images):
            connection.execute(reference_use.insert(), uses)


def _uses(batch_id: str, images: Iterable[PlannedImage]) -> list[dict[str, str]]:
    """Which rows start from which pictures; all variants of a row start from the same."""
    used = {(each.sha256, planned.key): None for planned in images for each in planned.references}
    return [{"sha256": sha256, "batch_id": batch_id, "key": key} for sha256, key in used]


# What all new images have in common stands in the statement: preparing parameters is what inserting costs.
_ZEROS = ("dispatch_no", "fence", "attempts", "unknowns", "delivery_attempts", "reserved_usd_micros", "cost_usd_micros")
_INSERT = image.insert().values(
    state=literal_column(f"'{State.PLANNED}'"), reused=false(), **dict.fromkeys(_ZEROS, literal_column("0"))
)


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
        "reference": [asdict(each) for each in planned.references] or None,
    }


def add_skipped(ledger: Ledger, batch_id: str, problems: Iterable[RowProblem], planner_no: int = 0) -> int:
    """Record the rows left out, one entry per line with all of its problems; returns how many rows.

    Raises Superseded as :func:`hold` does.
    """
    by_line: dict[int, list[RowProblem]] = {}
    for problem in problems:
        by_line.setdefault(problem.line, []).append(problem)
    values = [
        {"batch_id": batch_id, "line": line, "problems": [str(p) for p in found], "row": dict(found[0].values)}
        for line, found in sorted(by_line.items())
    ]
    if values:
        with ledger.write() as connection:
            hold(ledger, connection, batch_id, planner_no)
            connection.execute(skipped_row.insert(), values)
    return len(values)


def start(  # noqa: PLR0913 - facts about the batch
    ledger: Ledger,
    batch_id: str,
    *,
    total: int,
    skipped: int,
    notes: Sequence[str],
    planner_no: int = 0,
    frozen: Mapping[str, Any] | None = None,
) -> None:
    """Every row is in: from here on the batch is real, and its source is not needed any more.

    ``frozen`` is what its planner decides: ``request`` here; ``catalogue``, ``columns`` and ``key_pattern`` in a
    worker. Raises Superseded as :func:`hold` does.
    """
    now = datetime.now(UTC)
    values = {"total": total, "skipped": skipped, "notes": list(notes), "started_at": now, **(frozen or {})}
    with ledger.write() as connection:
        hold(ledger, connection, batch_id, planner_no)
        connection.execute(
            update(batch).where(batch.c.id == batch_id).values(phase="started", planner_id=None, **values)
        )
        connection.execute(delete(source_part).where(source_part.c.batch_id == batch_id))


def discard(ledger: Ledger, batch_id: str) -> None:
    """Take back a batch that never started; one that has is left alone."""
    planning = select(batch.c.id).where(batch.c.id == batch_id, batch.c.phase == "planning")
    with ledger.write() as connection:
        if connection.scalar(planning.with_for_update()) is None:
            return
        clear(connection, batch_id)
        for table in (source_part, webhook):
            connection.execute(delete(table).where(table.c.batch_id == batch_id))
        connection.execute(delete(batch).where(batch.c.id == batch_id))


def clear(connection: Connection, batch_id: str) -> None:
    """Remove what was planned of a batch that has not started."""
    connection.execute(delete(image).where(image.c.batch_id == batch_id))
    connection.execute(delete(reference_use).where(reference_use.c.batch_id == batch_id))
    connection.execute(delete(skipped_row).where(skipped_row.c.batch_id == batch_id))


def hold_publish(ledger: Ledger, batch_id: str) -> None:
    """From now on a batch's pictures wait to be looked at before the CMS is written."""
    with ledger.write() as connection:
        connection.execute(update(batch).where(batch.c.id == batch_id).values(hold_publish=True))


def find_unfinished(ledger: Ledger, digest: str) -> str | None:
    """The newest started batch of the same rows and options in which something is under way, or waits.

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
                select(image.c.id).where(image.c.batch_id == batch.c.id, image.c.state.in_(ACTIVE | WAITING)).exists(),
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
