"""Saying that something of a batch is held: nobody should find out in the morning."""

from __future__ import annotations

from tasks.celery import app
from tasks.core import routing
from tasks.delivery.slack_holds import held
from tasks.ledger.following import start_of
from tasks.ledger.noticing import claim_notices, mark_noticed
from tasks.ledger.summing import summarise
from tasks.services import Services
from tasks.steps.ending import left_to_the_sweep
from tasks.steps.saying import say

_TOGETHER_SECONDS = 2
"""Models that are held within such a time are told of in one message."""


def ask_for_news(batch_id: str, in_seconds: float = 0.0) -> None:
    """Ask for a batch's news to be told in Slack; harmless when there are none, or somebody is at it."""
    app.signature(routing.SLACK_NEWS, args=(batch_id,), immutable=True).apply_async(countdown=in_seconds)


def tell_soon(batch_id: str) -> None:
    """Ask for what is held to be told: who buys or delivers does not wait for Slack. Else the sweep asks."""
    with left_to_the_sweep(f"telling what of {batch_id} is held"):
        ask_for_news(batch_id, _TOGETHER_SECONDS)


def tell_holds(services: Services, batch_id: str) -> bool:
    """Tell Slack, once an episode, what of a batch is held and why; whether there was something to tell."""
    claimed = claim_notices(services.ledger, batch_id, services.worker_id)
    if not claimed:
        return False
    preferences = services.settings.preferences
    message = held(
        summarise(services.ledger, batch_id),
        claimed,
        page_url=services.page_url(batch_id),
        language=preferences.language,
        timezone=preferences.timezone,
    )
    told = say(services, f"{batch_id}: what is held", message, start_of(services.ledger, batch_id))
    mark_noticed(services.ledger, claimed, told.message, told.error, told.posted)
    return True
