"""How long a bought picture's staged copy is kept, and what follows when it is gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select, tuple_, update

from tasks.core.dispatch import StepName
from tasks.core.errors import ErrorClass
from tasks.core.states import State
from tasks.ledger.engine import Ledger
from tasks.ledger.rows import Delivery
from tasks.ledger.schema import STAGED, batch, image, picture

_COPIES = 5
"""So many places at most are looked at for a picture that was published before."""


@dataclass(frozen=True, slots=True)
class StagedCopy:
    """One picture that lies in staging."""

    bought_at: datetime
    fingerprint: str
    staging_key: str


@dataclass(frozen=True, slots=True)
class Window:
    """What of some staged pictures may go. ``after`` is where the next window begins; ``None``: at the beginning."""

    unneeded: tuple[StagedCopy, ...]
    after: tuple[datetime, str] | None


def unneeded(ledger: Ledger, before: datetime, after: tuple[datetime, str] | None, pictures: int) -> Window:
    """Look at so many staged pictures, in the order in which they were bought, for those that nobody needs any more.

    These are the ones of which every image was published, before ``before``. Whatever waits, has failed or was
    cancelled may be delivered yet, and its picture is paid for.
    """
    place = tuple_(picture.c.bought_at, picture.c.fingerprint)
    some = select(picture.c.bought_at, picture.c.fingerprint, picture.c.staging_key).where(
        STAGED, picture.c.bought_at < before
    )
    if after is not None:
        some = some.where(place > after)
    looked_at = some.order_by(picture.c.bought_at, picture.c.fingerprint).limit(pictures).subquery()
    mine = image.c.fingerprint == looked_at.c.fingerprint
    needed = or_(image.c.state != State.PUBLISHED, image.c.published_at >= before)
    gone = and_(
        select(image.c.id).where(mine).exists(),
        ~select(image.c.id).where(mine, needed).exists(),
    )
    order = (looked_at.c.bought_at, looked_at.c.fingerprint)
    with ledger.read() as connection:
        rows = connection.execute(select(looked_at, gone.label("gone")).order_by(*order)).all()
    found = tuple(StagedCopy(row.bought_at, row.fingerprint, row.staging_key) for row in rows if row.gone)
    return Window(found, (rows[-1].bought_at, rows[-1].fingerprint) if len(rows) == pictures else None)


def mark_removed(ledger: Ledger, copy: StagedCopy) -> None:
    """The staged copy is gone. Somebody who has come to need it meanwhile puts it back, and it stays on record."""
    waits = select(image.c.id).where(image.c.fingerprint == picture.c.fingerprint, image.c.state != State.PUBLISHED)
    same = and_(picture.c.fingerprint == copy.fingerprint, picture.c.staging_key == copy.staging_key)
    with ledger.write(lasting=False) as connection:
        connection.execute(update(picture).where(same, ~waits.exists()).values(staging_key=None))


def published_as(ledger: Ledger, fingerprint: str) -> list[str]:
    """Keys under which the picture has become public, the latest first."""
    public = and_(image.c.fingerprint == fingerprint, image.c.output_key.is_not(None))
    query = select(image.c.output_key).where(public).order_by(image.c.id.desc()).limit(_COPIES)
    with ledger.read() as connection:
        return [str(key) for key in connection.scalars(query) if key]


def mark_restored(ledger: Ledger, delivery: Delivery, staging_key: str) -> None:
    """The picture lies in staging again."""
    with ledger.write(lasting=False) as connection:
        connection.execute(update(picture).where(_is_of(delivery)).values(staging_key=staging_key, missing_in=None))


def give_up(ledger: Ledger, delivery: Delivery, message: str) -> bool:
    """Neither copy of a paid picture is left: whether its image was given back to be bought anew.

    It is not when this batch finds that out in its present round: a person is to know first. Whoever lets the batch
    go on after that has decided; then the picture counts as not bought.
    """
    with ledger.write() as connection:
        mine = (image.c.id == delivery.image_id, image.c.dispatch_no == delivery.dispatch_no)
        still = connection.scalar(select(image.c.id).where(*mine, image.c.state == State.GENERATED).with_for_update())
        if still is None:
            return False  # somebody has moved it: the settlement that follows finds that out
        if _is_news(connection, delivery):
            return False
        why = {"error_class": ErrorClass.LOST, "error_step": StepName.UPLOAD, "error_message": message}
        back = update(image).where(image.c.id == delivery.image_id).values(state=State.PLANNED, not_before=None, **why)
        connection.execute(back.values(moved_at=datetime.now(UTC)))
    return True


def _is_news(connection: Connection, delivery: Delivery) -> bool:
    """Note that the picture is gone; whether nobody could know. Forgets a picture that was known to be gone."""
    found = connection.execute(select(picture.c.missing_in).where(_is_of(delivery)).with_for_update()).first()
    if found is None:  # forgotten already, for another image
        return False
    now_in = connection.scalar(select(batch.c.round).where(batch.c.id == delivery.batch_id))
    here = f"{delivery.batch_id}/{now_in}"
    known = found.missing_in or ""
    if known == here or known.rpartition("/")[0] != delivery.batch_id:
        connection.execute(update(picture).where(_is_of(delivery)).values(missing_in=here))
        return True
    gone: dict[str, Any] = {"bought": False, "staging_key": None, "sha256": None, "missing_in": None}
    connection.execute(update(picture).where(_is_of(delivery)).values(**gone))
    return False


def _is_of(delivery: Delivery) -> ColumnElement[bool]:
    """The very picture that the delivery was about, and not one that was bought since."""
    same = picture.c.sha256 == delivery.sha256
    return and_(picture.c.fingerprint == delivery.fingerprint, picture.c.bought, same)
