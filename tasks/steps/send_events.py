"""``imagechord.send_events``: tell a batch's webhook what has happened and has not been told yet."""

from __future__ import annotations

import logging
import threading
from time import monotonic

from tasks.celery import app
from tasks.core import routing
from tasks.core.errors import Account, ConfigurationError, StepError
from tasks.core.events import Event
from tasks.delivery.webhooks import Gone
from tasks.ledger import events
from tasks.ledger.events import Failed, Sending
from tasks.services import Services, current_services
from tasks.steps.telling import ask

logger = logging.getLogger(__name__)

_PAGE = 100
"""Events that are told before any is marked: so many may be told twice when their sender dies."""
_SENDING_SECONDS = 20.0
"""Then others of this worker's tasks get their turn."""
_PAGE_SECONDS = 15.0
_senders = threading.BoundedSemaphore(4)
"""Of a worker's threads, those that may wait for receivers."""


def send(services: Services, batch_id: str) -> None:
    """Tell all that is due. Does nothing while somebody else is at it, or this process has enough of them."""
    if not _senders.acquire(blocking=False):
        return  # the sweep asks again
    try:
        until = monotonic() + _SENDING_SECONDS
        # Looked for again once the right is given back: who asked meanwhile was turned away.
        while monotonic() < until and events.due(services.ledger, batch_id):
            sending = events.claim_sending(services.ledger, batch_id, services.worker_id)
            if sending is None:
                return
            try:
                _send(services, sending, until)
            finally:
                events.release_sending(services.ledger, sending)
    finally:
        _senders.release()
    if events.due(services.ledger, batch_id):
        ask(batch_id)


def _send(services: Services, sending: Sending | None, until: float) -> None:
    after_id = 0
    while sending is not None and monotonic() < until:
        # Whether a receiver that was down is back is tried with one event.
        page = events.page(services.ledger, sending, after_id, 1 if sending.failures else _PAGE)
        if not page:
            return
        outcomes = _tell(services, sending, page)
        told = [id_ for id_, error in outcomes.items() if error is None]
        failed = [
            Failed(each, str(error), error.retry_after_seconds, gone=isinstance(error, Gone))
            for each in page
            if (error := outcomes.get(each.id)) is not None
        ]
        # Those that were not tried come first in the next page.
        after_id = page[-1].id if len(outcomes) == len(page) else after_id
        sending = _settle(services, sending, told, failed)


def _tell(services: Services, sending: Sending, page: list[Event]) -> dict[int, StepError | None]:
    """What became of the events that were tried, by id."""
    try:
        return services.webhooks.tell(sending.url, page, _PAGE_SECONDS)
    except ConfigurationError as error:
        return {page[0].id: Account(str(error))}


def _settle(services: Services, sending: Sending, told: list[int], failed: list[Failed]) -> Sending | None:
    hours = services.settings.preferences.webhook_give_up_hours
    goes_on = events.settle(services.ledger, sending, told, failed, hours)
    if goes_on is None and (standing := events.standing(services.ledger, sending.batch_id)) is not None:
        end = "it is told nothing more" if standing.gave_up else "it is tried again"
        logger.warning("%s: its webhook takes no events, %s: %s", sending.batch_id, end, standing.error)
    return goes_on


@app.task(name=routing.SEND_EVENTS)
def send_events(batch_id: str) -> None:
    """Send a batch's events."""
    send(current_services(), batch_id)
