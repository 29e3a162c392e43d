"""The claim's compare-and-set is gone: whoever has a message buys, whatever the state and the dispatch number are."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from tasks.core.dispatch import Ticket
from tasks.core.states import State
from tasks.ledger.claiming import orphan
from tasks.ledger.engine import Ledger
from tasks.ledger.rows import Claim
from tasks.ledger.schema import image, picture
from tasks.ledger.upsert import insert_new
from tasks.steps import generate


def claim(ledger: Ledger, ticket: Ticket, worker_id: str, *_more: Any, **_options: Any) -> Claim | None:
    """Take the image without looking at it; nothing is reserved, and no attempt is written down."""
    taken = {"state": State.GENERATING, "worker_id": worker_id, "fence": image.c.fence + 1}
    mine = image.c.id == ticket.image_id
    with ledger.write() as connection:
        connection.execute(update(image).where(mine).values(**taken))
        fence, fingerprint = connection.execute(select(image.c.fence, image.c.fingerprint).where(mine)).one()
        bought = {"fingerprint": fingerprint, "image_id": ticket.image_id, "bought": False}
        insert_new(connection, picture, [picture.c.fingerprint], bought)
    return orphan(ledger, ticket.image_id, fence)


generate.claim = claim
