"""``imagechord.slack_summary``: the callback of every wave. Asks the ledger whether the batch rests; says so once."""

from __future__ import annotations

import logging
from typing import Any

from tasks import progress
from tasks.celery import app
from tasks.core import routing
from tasks.delivery.slack_messages import finished
from tasks.ledger.events import has_webhook
from tasks.ledger.following import hasten
from tasks.ledger.showing import samples
from tasks.ledger.summing import Said, claim_message, is_resting, mark_sent
from tasks.reporting import write_report
from tasks.services import Services, current_services
from tasks.steps.ending import left_to_the_sweep
from tasks.steps.held import tell_holds
from tasks.steps.saying import say
from tasks.steps.slack_news import update_start
from tasks.steps.telling import ask

logger = logging.getLogger(__name__)


def send_once(services: Services, said: Said, message: dict[str, Any]) -> None:
    """Send a claimed message and mark it. A dead Slack is recorded and never fails or delays a batch.

    With the claim came an event for the batch's webhook, if it has one.
    """
    told = say(services, f"batch {said.batch_id}, {said.kind}", message)
    # After it, since the ledger may be away by now, and nobody else would send what is claimed.
    with left_to_the_sweep(f"telling the webhook of {said.batch_id}"):
        if has_webhook(services.ledger, said.batch_id):
            ask(said.batch_id)
    mark_sent(services.ledger, said, told.message, told.error, told.posted)


def summarise_batch(services: Services, batch_id: str) -> None:
    """Send the summary of a resting batch, once per round; do nothing while something is active."""
    if not is_resting(services.ledger, batch_id):
        return
    tell_holds(services, batch_id)  # or the summary would say it first
    preferences = services.settings.preferences
    summary, pictures = progress.summarise(services, batch_id), samples(services.ledger, batch_id)
    message = finished(summary, pictures=pictures, language=preferences.language, timezone=preferences.timezone)
    said = claim_message(services.ledger, batch_id, "end", services.worker_id)
    if said is not None:
        send_once(services, said, message)
        _close_start(services, batch_id)
        _write_linked_report(services, batch_id)


def _close_start(services: Services, batch_id: str) -> None:
    """The start message says what the round has come to, too."""
    with left_to_the_sweep(f"the last update of {batch_id}'s start message"):
        if hasten(services.ledger, batch_id):
            update_start(services, batch_id)


def _write_linked_report(services: Services, batch_id: str) -> None:
    """The message links to the report: have it there. After sending, because a large one takes seconds."""
    if services.report_url(batch_id) is None:
        return
    try:
        write_report(services, batch_id)
    except Exception:
        logger.exception("batch %s: the report could not be written; imagechord report writes it again", batch_id)


@app.task(name=routing.SLACK_SUMMARY)
def slack_summary(batch_id: str) -> None:
    """The chord's callback, as body and as errback."""
    summarise_batch(current_services(), batch_id)
