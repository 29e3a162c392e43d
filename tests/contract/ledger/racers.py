"""What other processes do in a race. Their own module: a spawned process imports it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress

from tasks.core.dispatch import Ticket
from tasks.core.errors import Superseded
from tasks.ledger.claiming import claim
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import require_current
from tasks.ledger.rows import Claim


def claim_all(url: str, worker_id: str, tickets: Sequence[Ticket]) -> int:
    """Claim each image; how many claims were given."""
    claimed = 0
    with closing(Ledger(parse_database_url(url))) as ledger:
        for ticket in tickets:
            with suppress(Superseded):
                claimed += isinstance(claim(ledger, ticket, worker_id), Claim)
    return claimed


def open_first(url: str) -> str:
    """Start on a ledger that perhaps is not there yet; its identity."""
    with closing(Ledger(parse_database_url(url))) as ledger:
        require_current(ledger)
        return ledger.identity()
