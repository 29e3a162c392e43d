"""Pictures to start from, as they lie in staging: put there once, kept for as long as an image may need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, delete, false, func, or_, select, true, tuple_, update

from tasks.core.states import State
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import image, picture, reference, reference_use
from tasks.ledger.upsert import insert_new


@dataclass(frozen=True, slots=True)
class PublishedCopy:
    """Where the bytes of an earlier picture are: a staged copy, if it is still there, and the public one."""

    key: str
    staging_key: str | None
    output_key: str | None


def newest_published(ledger: Ledger, keys: Sequence[str]) -> dict[str, PublishedCopy]:
    """Key → the first variant of the newest published picture; keys without one are left out."""
    order = (image.c.created_at.desc(), image.c.variant, image.c.id.desc())
    number = func.row_number().over(partition_by=image.c.key, order_by=order).label("number")
    columns = (image.c.key, picture.c.staging_key, image.c.output_key, number)
    published = (image.c.key.in_(keys), image.c.state == State.PUBLISHED)
    found = select(*columns).outerjoin(picture, picture.c.fingerprint == image.c.fingerprint).where(*published)
    newest = found.subquery()
    with ledger.read() as connection:
        rows = connection.execute(select(newest).where(newest.c.number == 1)).all()
    return {row.key: PublishedCopy(row.key, row.staging_key, row.output_key) for row in rows}


def use_staged(ledger: Ledger, sha256: str) -> str | None:
    """Where a picture of these bytes is staged, kept from now on; ``None`` when it has to be put there."""
    there = update(reference).where(reference.c.sha256 == sha256, reference.c.leaving == false())
    with ledger.write(lasting=False) as connection:
        used = there.values(staged_at=datetime.now(UTC)).returning(reference.c.staging_key)
        key = connection.scalar(used)
    return None if key is None else str(key)


def add_staged(ledger: Ledger, sha256: str, staging_key: str) -> str:
    """Note that a picture has been put into staging; returns its key, another's when that was quicker."""
    values = {"staging_key": staging_key, "staged_at": datetime.now(UTC), "leaving": False}
    mine = reference.c.sha256 == sha256
    with ledger.write() as connection:
        if insert_new(connection, reference, [reference.c.sha256], {"sha256": sha256, **values}):
            return staging_key
        left = update(reference).where(mine, reference.c.leaving == true()).values(**values)
        if connection.execute(left).rowcount:
            return staging_key
        return str(connection.scalar(select(reference.c.staging_key).where(mine)))


@dataclass(frozen=True, slots=True)
class StagedReference:
    """One picture to start from that lies in staging."""

    staged_at: datetime
    sha256: str
    staging_key: str


@dataclass(frozen=True, slots=True)
class References:
    """What of some staged pictures may go. ``after`` is where the next window begins; ``None``: at the beginning."""

    unneeded: tuple[StagedReference, ...]
    after: tuple[datetime, str] | None


def unneeded(ledger: Ledger, before: datetime, after: tuple[datetime, str] | None, most: int) -> References:
    """Look at so many pictures to start from, in the order in which they were last asked for.

    Those may go that every image that starts from them has no more need of: it was published before ``before``.
    What has failed or was cancelled may be tried again.
    """
    place = (reference.c.staged_at, reference.c.sha256)
    some = select(*place, reference.c.staging_key, reference.c.leaving).where(reference.c.staged_at < before)
    if after is not None:
        some = some.where(tuple_(*place) > after)
    looked_at = some.order_by(*place).limit(most).subquery()
    gone = or_(looked_at.c.leaving, ~_needed(looked_at.c.sha256, before)).label("gone")
    query = select(looked_at, gone).order_by(looked_at.c.staged_at, looked_at.c.sha256)
    with ledger.read() as connection:
        rows = connection.execute(query).all()
    found = tuple(StagedReference(row.staged_at, row.sha256, row.staging_key) for row in rows if row.gone)
    return References(found, (rows[-1].staged_at, rows[-1].sha256) if len(rows) == most else None)


def begin_removal(ledger: Ledger, copy: StagedReference, before: datetime) -> bool:
    """Let nobody use this copy any more; whether it may be removed. Somebody may have come to need it meanwhile."""
    same = and_(_is(copy), reference.c.staged_at == copy.staged_at)
    unused = or_(reference.c.leaving, ~_needed(reference.c.sha256, before))
    with ledger.write() as connection:
        return connection.execute(update(reference).where(same, unused).values(leaving=True)).rowcount == 1


def end_removal(ledger: Ledger, copy: StagedReference) -> None:
    """The copy is gone. One that was put into its place meanwhile has another key, and stays on record."""
    with ledger.write(lasting=False) as connection:
        connection.execute(delete(reference).where(_is(copy), reference.c.leaving))


def _is(copy: StagedReference) -> ColumnElement[bool]:
    return and_(reference.c.sha256 == copy.sha256, reference.c.staging_key == copy.staging_key)


def _needed(sha256: ColumnElement[str], before: datetime) -> ColumnElement[bool]:
    """Whether an image that starts from the picture of this digest may yet be bought."""
    mine = and_(image.c.batch_id == reference_use.c.batch_id, image.c.key == reference_use.c.key)
    open_ = or_(image.c.state != State.PUBLISHED, image.c.published_at >= before)
    return select(image.c.id).join(reference_use, mine).where(reference_use.c.sha256 == sha256, open_).exists()
