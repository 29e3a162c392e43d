"""The claim's compare-and-set is gone: whoever has a message buys, whatever the state and the dispatch number are."""

from __future__ import annotations

from sqlalchemy import select, update

from tasks.core.dispatch import Ticket
from tasks.core.states import State
from tasks.ledger import claiming
from tasks.ledger.engine import Ledger
from tasks.ledger.rows import Claim
from tasks.ledger.schema import image, picture
from tasks.ledger.upsert import insert_new
from tasks.steps import generate


def claim(ledger: Ledger, ticket: Ticket, worker_id: str) -> Claim:
    """Take the image without looking at it; nothing is reserved, and no attempt is written down."""
    with ledger.write() as connection:
        row = connection.execute(select(image).where(image.c.id == ticket.image_id)).one()
        taken = {"state": State.GENERATING, "worker_id": worker_id, "fence": row.fence + 1}
        connection.execute(update(image).where(image.c.id == row.id).values(**taken))
        bought = {"fingerprint": row.fingerprint, "image_id": row.id, "bought": False}
        insert_new(connection, picture, [picture.c.fingerprint], bought)
        spec, price = claiming._frozen(ledger, connection, row)
    return claiming._claim(row, spec, price, fence=row.fence + 1, number=row.attempts + 1)


generate.claim = claim
