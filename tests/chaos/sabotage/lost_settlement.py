"""One settlement in ten is lost: the call was paid, and the ledger never hears of it."""

from __future__ import annotations

from tasks.ledger.engine import Ledger
from tasks.ledger.rows import Claim
from tasks.ledger.settling import Bought, settle_generated
from tasks.steps import generate


def settle(ledger: Ledger, claim: Claim, bought: Bought) -> None:
    """Settle nine of ten."""
    if claim.image_id % 10:
        settle_generated(ledger, claim, bought)


generate.settle_generated = settle
