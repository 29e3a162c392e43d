"""``imagechord.start_batch``: plan a batch, release its first waves, and say in Slack that it began."""

from __future__ import annotations

from typing import Any

from tasks import graph
from tasks.celery import app
from tasks.core import routing
from tasks.core.errors import LedgerUnavailable
from tasks.core.retry import backoff_seconds
from tasks.core.summary import BatchSummary
from tasks.delivery.slack_messages import refused
from tasks.delivery.slack_start import going_on, started
from tasks.intake import PASSING, plan_stored, take_in_order
from tasks.ledger import sweeping
from tasks.ledger.dispatching import redispatch
from tasks.ledger.reading import phase_of
from tasks.ledger.showing import expected_usd_micros
from tasks.ledger.summing import claim_message, summarise
from tasks.services import Services, current_services
from tasks.steps.base import RetryLater
from tasks.steps.ending import announce_if_resting, left_to_the_sweep
from tasks.steps.held import tell_holds
from tasks.steps.slack_summary import send_once
from tasks.steps.subject import bind


def start(services: Services, batch_id: str) -> None:
    """Release what the queues need, and say once a round that the batch began; the images do not wait for Slack."""
    summary = summarise(services.ledger, batch_id)
    # Claimed before anything is released: the summary of a quick batch waits for it.
    said = claim_message(services.ledger, batch_id, "start", services.worker_id) if _begins(summary) else None
    message = _start_message(services, summary) if said is not None else {}
    try:
        for model in summary.models:
            graph.release(services, model)
        graph.publish(redispatch(services.ledger, sweeping.undelivered(services.ledger, batch_id)))
    finally:
        if said is not None:
            send_once(services, said, message)
    # What was held meanwhile has waited for that.
    with left_to_the_sweep(f"telling what of {batch_id} is held"):
        tell_holds(services, batch_id)
    # A batch without images rests at once.
    announce_if_resting(services, batch_id)


def _start_message(services: Services, summary: BatchSummary) -> dict[str, Any]:
    page_url, language = services.page_url(summary.batch_id), services.settings.preferences.language
    if summary.round > 1:
        return going_on(summary, page_url=page_url, language=language)
    expected = expected_usd_micros(services.ledger, summary.batch_id)
    return started(summary, expected_usd_micros=expected, page_url=page_url, language=language)


def _begins(summary: BatchSummary) -> bool:
    """Whether there is something to say. Nobody needs to be told that nothing goes on."""
    return summary.phase == "started" and (summary.round == 1 or summary.active > 0)


def begin(services: Services, batch_id: str, tries: int = 0) -> None:
    """Plan the batch if it waits for that, then start it, or say why not; nothing while somebody else plans it.

    ``tries`` is how often this message has been tried before. Raises RetryLater for trouble that passes.
    """
    try:
        plan_stored(services, batch_id)
    except LedgerUnavailable:
        raise
    except PASSING as error:
        raise RetryLater(f"{batch_id} cannot be planned yet: {error}", backoff_seconds(tries)) from error
    match phase_of(services.ledger, batch_id):
        case "planning":
            return
        case "refused":
            say_refused(services, batch_id)
        case _:
            start(services, batch_id)


def say_refused(services: Services, batch_id: str) -> None:
    """Tell Slack, once, that a batch was refused and why: nobody watches it."""
    summary = summarise(services.ledger, batch_id)
    said = claim_message(services.ledger, batch_id, "refused", services.worker_id)
    if said is not None:
        send_once(services, said, refused(summary, language=services.settings.preferences.language))


@app.task(bind=True, name=routing.START_BATCH)
def start_batch(self: Any, /, batch_id: str | None = None, **request: Any) -> str:
    """Start a submitted batch, or take one in first: see :class:`tasks.core.request.Request` for the arguments."""
    services = current_services()
    if batch_id is None:
        batch_id = take_in_order(services, request, self.request.id)
    bind(batch=batch_id)
    begin(services, batch_id, self.request.retries)
    return batch_id
