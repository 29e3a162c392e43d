"""What a CMS had before a batch: recorded before the first write of a row, and given out to be put back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from tasks.core.rolling_back import Shown, is_ours
from tasks.core.states import State
from tasks.ledger.engine import Ledger
from tasks.ledger.rows import Delivery
from tasks.ledger.schema import PUBLISHED, image

PAGE = 500
"""Rows of a batch that are read at a time."""

_SO_FAR = select(image.c.public_url, image.c.replaced).where(
    image.c.batch_id == bindparam("the_batch"), image.c.key == bindparam("the_key")
)
_KEEP = update(image).where(
    image.c.id == bindparam("the_image"),
    image.c.dispatch_no == bindparam("the_dispatch"),
    image.c.state == State.UPLOADED,
)
_recorded = image.alias()


@dataclass(frozen=True, slots=True)
class WrittenRow:
    """One row that a batch has written, or may have written, into the CMS.

    ``was`` is what stood there before; ``ours`` are the URLs that this batch may have put there instead. ``later`` is a
    batch that has published the same key since and was not rolled back.
    """

    key: str
    was: Shown
    ours: frozenset[str]
    later: str | None


def keep_old_value(ledger: Ledger, delivery: Delivery, shown: Shown) -> None:
    """Write down what the CMS shows before it is written to, unless that is what this row has written itself.

    To be called after the CMS was read and before it is written: then whoever reads what another variant, a twin or a
    worker that died has written finds here what they have recorded before.
    """
    with ledger.read() as connection:
        so_far = connection.execute(_SO_FAR, {"the_batch": delivery.batch_id, "the_key": delivery.key}).all()
    if any(row.replaced for row in so_far) and is_ours(shown, _ours(so_far)):
        return
    mine = {"the_image": delivery.image_id, "the_dispatch": delivery.dispatch_no}
    replaced = {"value": dict(shown), "written": [delivery.public_url]}
    with ledger.write() as connection:
        connection.execute(_KEEP, {**mine, "replaced": replaced, "rolled_back_at": None})


def is_recorded(ledger: Ledger, batch_id: str) -> bool:
    """Whether it is known of any row of the batch what it replaced, rolled back or not."""
    recorded = select(image.c.id).where(image.c.batch_id == batch_id, image.c.replaced.is_not(None)).limit(1)
    with ledger.read() as connection:
        return connection.scalar(recorded) is not None


def count_unrecorded(ledger: Ledger, batch_id: str) -> int:
    """Published rows of the batch of which nobody knows what they replaced: they cannot be put back."""
    same_row = (_recorded.c.batch_id == batch_id, _recorded.c.key == image.c.key)
    recorded = select(_recorded.c.id).where(*same_row, _recorded.c.replaced.is_not(None)).exists()
    published = (image.c.batch_id == batch_id, image.c.state == State.PUBLISHED)
    with ledger.read() as connection:
        return connection.scalar(select(func.count(image.c.key.distinct())).where(*published, ~recorded)) or 0


def written_rows(ledger: Ledger, batch_id: str, keys: Sequence[str] | None = None) -> Iterator[list[WrittenRow]]:
    """The rows that are still to be rolled back, all or those of these keys; a page at a time."""
    for page in _all_keys(ledger, batch_id) if keys is None else _parts(keys):
        with ledger.read() as connection:
            rows = _rows_of(connection, batch_id, page)
        if rows:
            yield rows


def mark_rolled_back(ledger: Ledger, batch_id: str, key: str) -> None:
    """The CMS has what it had before this batch."""
    now = datetime.now(UTC)
    of_row = (image.c.batch_id == batch_id, image.c.key == key)
    with ledger.write(lasting=False) as connection:
        connection.execute(update(image).where(*of_row).values(rolled_back_at=now))


def _all_keys(ledger: Ledger, batch_id: str) -> Iterator[Sequence[str]]:
    keys = select(image.c.key).distinct().where(image.c.batch_id == batch_id).order_by(image.c.key).limit(PAGE)
    after = ""
    while True:
        with ledger.read() as connection:
            page = connection.scalars(keys.where(image.c.key > after)).all()
        yield page
        if len(page) < PAGE:
            return
        after = page[-1]


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[start : start + PAGE] for start in range(0, len(keys), PAGE))


def _rows_of(connection: Connection, batch_id: str, keys: Sequence[str]) -> list[WrittenRow]:
    columns = ("key", "replaced", "public_url", "published_at", "moved_at", "rolled_back_at")
    mine = select(*(image.c[name] for name in columns)).where(image.c.batch_id == batch_id, image.c.key.in_(keys))
    found = connection.execute(mine.order_by(image.c.key, image.c.variant)).all()
    elsewhere = _published_elsewhere(connection, batch_id, keys)
    rows = []
    for key, images in groupby(found, key=lambda each: str(each.key)):
        of_row = list(images)
        waiting = [each.replaced["value"] for each in of_row if each.replaced and each.rolled_back_at is None]
        if waiting:
            written_at = max(each.published_at or each.moved_at for each in of_row)
            later = (other for other, published_at in elsewhere.get(key, ()) if published_at > written_at)
            rows.append(WrittenRow(key, waiting[0], _ours(of_row), next(later, None)))
    return rows


def _ours(rows: Iterable[Row[*tuple[Any, ...]]]) -> frozenset[str]:
    """Every URL that a row's pictures have or had."""
    urls = ([row.public_url, *(row.replaced or {}).get("written", ())] for row in rows)
    return frozenset(url for some in urls for url in some if url)


def _published_elsewhere(
    connection: Connection, batch_id: str, keys: Sequence[str]
) -> dict[str, list[tuple[str, datetime]]]:
    """By key: the other batches that have published it and were not rolled back, the latest first."""
    published_at = func.max(image.c.published_at).label("published_at")
    others = (PUBLISHED, image.c.key.in_(keys), image.c.batch_id != batch_id, image.c.rolled_back_at.is_(None))
    query = select(image.c.key, image.c.batch_id, published_at).where(*others).group_by(image.c.key, image.c.batch_id)
    found: dict[str, list[tuple[str, datetime]]] = {}
    for row in connection.execute(query.order_by(published_at.desc())):
        found.setdefault(row.key, []).append((row.batch_id, row.published_at))
    return found
