"""``imagechord.sweep``: heal what a dead worker, a lost message or an empty broker left behind. Safe to repeat."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from tasks import graph
from tasks.celery import app
from tasks.core import routing
from tasks.core.errors import Ambiguous, ErrorClass, Superseded
from tasks.core.retry import Failure, after_generate
from tasks.ledger import leases, sweeping
from tasks.ledger.claiming import orphan
from tasks.ledger.dispatching import redispatch
from tasks.ledger.settling import settle_failure
from tasks.limits.epoch import broker_epoch
from tasks.services import Services, current_services
from tasks.steps.ending import announce_if_resting

logger = logging.getLogger(__name__)


def sweep_once(services: Services) -> None:
    """One pass over everything that may be stuck."""
    ledger = services.ledger
    sweeping.forget_unsent_messages(ledger)
    lost_before = _lost_before(services)
    for image_id in leases.orphaned_claims(ledger):
        _settle_orphan(services, image_id)
    lost = sweeping.unclaimed_before(ledger, lost_before)
    if lost:
        logger.warning("sweep: sending %d images again", len(lost))
        graph.publish(redispatch(ledger, lost))
    for batch_id, model in sweeping.releasable(ledger):
        graph.release(services, batch_id, model)
    for batch_id in sweeping.resting_unsaid(ledger):
        graph.summarise(batch_id)


def _lost_before(services: Services) -> datetime:
    """A message sent before this moment, whose image nobody has claimed, must have been lost.

    It was silent for too long, or the broker has come back empty since, or a worker that may have fetched it
    has died.
    """
    preferences = services.settings.preferences
    silence = datetime.now(UTC) - timedelta(seconds=preferences.unclaimed_after_seconds)
    died = leases.reap(services.ledger, timedelta(seconds=preferences.heartbeat_expires_seconds), services.worker_id)
    fetched_until = died + timedelta(seconds=preferences.heartbeat_every_seconds) if died else silence
    return max(silence, broker_epoch(services.redis), fetched_until)


def _settle_orphan(services: Services, image_id: int) -> None:
    """A worker died inside a paid call: its outcome is unknown and counts as spent."""
    claim = orphan(services.ledger, image_id)
    if claim is None:
        return
    error = Ambiguous("the worker died during the call; whether it was paid is not known")
    failure = Failure(ErrorClass.AMBIGUOUS, attempts=claim.attempt, unknowns=claim.unknowns + 1)
    decision = after_generate(failure, services.retry_rules)
    try:
        settle_failure(services.ledger, claim, error, decision)
    except Superseded:
        return
    logger.warning("sweep: image %s: %s", claim.key, error)
    if decision.end is not None:
        announce_if_resting(services, claim.batch_id)
    else:
        graph.publish(redispatch(services.ledger, [image_id]))


@app.task(name=routing.SWEEP)
def sweep() -> None:
    """Sent by beat, and by every worker's lease in case there is no beat."""
    sweep_once(current_services())
