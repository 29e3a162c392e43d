"""A ledger as a long campaign leaves it, written straight into its tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, literal, select, text, update

from tasks.core.states import State
from tasks.ledger import submitting
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import batch, image
from tests.contract.ledger.scene import MODEL, OTHER_MODEL, new_batch, planned

_CHUNK = 1000
_ENDS_PER_SECOND = 50
_REASONS = {State.FAILED: "overloaded", State.REFUSED: "refused"}


def fill(ledger: Ledger, *, images: int, batches: int = 10) -> list[str]:
    """Write ``images`` in all, in ``batches`` half-way through; returns the batches' ids.

    Three in five have ended, fifty a second until now, one in fifty of them badly; the others are planned, but for
    those of one wave. On PostgreSQL the tables are vacuumed, as autovacuum does.
    """
    ids = [f"b-{number}" for number in range(batches)]
    for batch_id in ids:
        submitting.create_batch(ledger, new_batch(batch_id, digest=batch_id))
    size = images // batches
    for first in range(0, size, _CHUNK):
        with ledger.write() as connection:
            connection.execute(image.insert(), list(_rows(range(first, min(first + _CHUNK, size)), size)))
    for batch_id in ids[1:]:
        _copy(ledger, ids[0], batch_id)
    for batch_id in ids:
        submitting.start(ledger, batch_id, total=size, skipped=0, notes=[])
    if not ledger.is_sqlite:
        with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # The tests' servers commit lazily, and vacuum leaves what is not on the disk: first all, then all at once.
            for statement in ("CHECKPOINT", "SET synchronous_commit = on", "VACUUM ANALYZE"):
                connection.execute(text(statement))
    return ids


def enlarge(ledger: Ledger, batch_id: str, times: int) -> None:
    """Let a batch have so many times the images that it has: in a fifth of the time that :func:`fill` takes."""
    columns = [column.name for column in image.c if column.name != "id"]
    with ledger.write() as connection:
        last = connection.scalar(select(func.max(image.c.id)).where(image.c.batch_id == batch_id))
        for number in range(1, times):
            copied = [image.c.key + f"-{number}" if name == "key" else image.c[name] for name in columns]
            again = select(*copied).where(image.c.batch_id == batch_id, image.c.id <= last)
            connection.execute(insert(image).from_select(columns, again))
        connection.execute(update(batch).where(batch.c.id == batch_id).values(total=batch.c.total * times))


def _rows(numbers: range, size: int) -> Iterator[dict[str, Any]]:
    now = datetime.now(UTC)
    ended = size * 3 // 5
    for number in numbers:
        state = _state(number, ended)
        long_ago = now - timedelta(hours=1)
        moved = max(long_ago, now - timedelta(seconds=(ended - number) / _ENDS_PER_SECOND))
        one = planned(number, model=OTHER_MODEL if number % 4 == 0 else MODEL)
        yield submitting.image_values(one) | {
            "prompt": one.prompt * 20,
            "batch_id": "b-0",
            "state": state,
            "dispatch_no": 1,
            "fence": 1,
            "attempts": 1,
            "unknowns": 0,
            "delivery_attempts": 0,
            "reserved_usd_micros": 0,
            "cost_usd_micros": 5_000,
            "reused": number % 50 == 3,
            "error_class": _REASONS.get(state),
            "error_step": "generate" if state in _REASONS else None,
            "error_message": f"HTTP 503, trace {number}" if state in _REASONS else None,
            "public_url": f"https://cdn.example.com/products/{number}.png",
            "created_at": long_ago,
            "moved_at": long_ago if state is State.PLANNED else moved,
            "published_at": moved if state is State.PUBLISHED else None,
        }


def _state(number: int, ended: int) -> State:
    if number >= ended:
        return State.QUEUED if number < ended + 50 else State.PLANNED
    return {0: State.REFUSED, 1: State.FAILED}.get(number % 100, State.PUBLISHED)


def _copy(ledger: Ledger, source: str, target: str) -> None:
    """All images of a batch again, in another one."""
    columns = [column for column in image.c if column.name not in {"id", "batch_id"}]
    copied = select(literal(target), *columns).where(image.c.batch_id == source)
    with ledger.write() as connection:
        connection.execute(insert(image).from_select(["batch_id", *(column.name for column in columns)], copied))
