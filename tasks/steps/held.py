"""Saying at once that something of a batch is held: nobody should find out in the morning."""

from __future__ import annotations

from tasks.delivery.slack_messages import held
from tasks.ledger.holding import holds
from tasks.ledger.summing import claim_message, is_resting, summarise
from tasks.services import Services
from tasks.steps.ending import left_to_the_sweep
from tasks.steps.slack_summary import send_once


def say_held(services: Services, batch_id: str) -> None:
    """Tell Slack, once in a round, what is held and why. A batch that rests has its summary for that."""
    preferences = services.settings.preferences
    with left_to_the_sweep(f"saying that {batch_id} is held"):
        if is_resting(services.ledger, batch_id):
            return
        found = holds(services.ledger, batch_id)
        said = claim_message(services.ledger, batch_id, "held", services.worker_id)
        if found and said is not None:
            summary = summarise(services.ledger, batch_id)
            message = held(summary, found, language=preferences.language, timezone=preferences.timezone)
            send_once(services, said, message)
