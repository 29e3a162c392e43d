"""A few published pictures of a batch, and what it may be expected to cost: what a message can show of it."""

from __future__ import annotations

from sqlalchemy import distinct, func, select

from tasks.core.showing import MAX_PICTURES, Shown, showable, spread
from tasks.core.states import State
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import batch, image, picture


def samples(ledger: Ledger, batch_id: str, most: int = MAX_PICTURES) -> list[Shown]:
    """Published pictures that a chat can show, spread over the whole batch."""
    published = (image.c.batch_id == batch_id, image.c.state == State.PUBLISHED)
    with ledger.read() as connection:
        ids = connection.scalars(select(image.c.id).where(*published).order_by(image.c.id)).all()
        chosen = select(image.c.key, image.c.public_url).where(image.c.id.in_(spread(ids, most)))
        rows = connection.execute(chosen.order_by(image.c.id)).all()
    return showable(Shown(row.key, row.public_url or "") for row in rows)


def expected_usd_micros(ledger: Ledger, batch_id: str) -> int | None:
    """The list price of what a batch that has not begun is going to buy; ``None`` when a model of it has no price."""
    bought = select(picture.c.fingerprint).where(picture.c.fingerprint == image.c.fingerprint, picture.c.bought)
    to_buy = (
        select(image.c.model, func.count(distinct(image.c.fingerprint)).label("images"))
        .where(image.c.batch_id == batch_id, image.c.state == State.PLANNED, ~bought.exists())
        .group_by(image.c.model)
    )
    prices = select(batch.c.catalogue["prices_usd_micros"], batch.c.catalogue["unpriced"]).where(batch.c.id == batch_id)
    with ledger.read() as connection:
        counts = {row.model: int(row.images) for row in connection.execute(to_buy)}
        by_model, unpriced = connection.execute(prices).one()
    if not counts.keys().isdisjoint(unpriced or ()):
        return None
    return sum(count * int(by_model[model]) for model, count in counts.items())
