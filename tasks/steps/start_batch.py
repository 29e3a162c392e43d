"""``imagechord.start_batch``: release the first waves of a batch and say in Slack that it began."""

from __future__ import annotations

from typing import Any

from tasks import graph
from tasks.celery import app
from tasks.core import routing
from tasks.delivery.slack_messages import started
from tasks.ledger.reading import batch_models
from tasks.ledger.summing import claim_message, summarise
from tasks.services import Services, current_services
from tasks.steps.ending import announce_if_resting
from tasks.steps.slack_summary import send_once
from tasks.submission import Request, submit


def start(services: Services, batch_id: str) -> None:
    """Release what the queues need, and say once that the batch began; the images do not wait for Slack."""
    summary = summarise(services.ledger, batch_id)
    message = started(summary.name, summary.total, summary.models, language=services.settings.preferences.language)
    # Claimed before anything is released: the summary of a quick batch waits for it.
    said = claim_message(services.ledger, batch_id, "start", services.worker_id)
    try:
        for model in batch_models(services.ledger, batch_id):
            graph.release(services, model)
    finally:
        if said is not None:
            send_once(services, said, message)
    # A batch without images rests at once.
    announce_if_resting(services, batch_id)


@app.task(bind=True, name=routing.START_BATCH)
def start_batch(self: Any, /, batch_id: str | None = None, **request: Any) -> str:
    """Start a submitted batch, or submit one first: see :class:`tasks.submission.Request` for the arguments."""
    services = current_services()
    if batch_id is None:
        # A message that comes twice is one order, also when its sender gave no key.
        order = {"idempotency_key": self.request.id} | request
        batch_id = submit(services, Request.from_message(order)).batch_id
    start(services, batch_id)
    return batch_id
