"""``imagechord.sweep``: heal what a dead worker, a lost message or an empty broker left behind. Safe to repeat."""

from __future__ import annotations

import logging
from datetime import timedelta

from tasks import graph
from tasks.celery import app
from tasks.core import routing
from tasks.core.errors import Ambiguous, ErrorClass, Superseded
from tasks.core.retry import Failure, after_generate
from tasks.ledger import leases, sweeping
from tasks.ledger.claiming import orphan
from tasks.ledger.dispatching import redispatch
from tasks.ledger.settling import settle_failure
from tasks.services import Services, current_services
from tasks.steps.ending import announce_if_resting

logger = logging.getLogger(__name__)

_EPOCH = "imagechord:epoch"


def sweep_once(services: Services) -> None:
    """One pass over everything that may be stuck."""
    ledger, preferences = services.ledger, services.settings.preferences
    broker_is_new = bool(services.redis.set(_EPOCH, services.worker_id or "sweep", nx=True))
    somebody_died = leases.reap(ledger, timedelta(seconds=preferences.heartbeat_expires_seconds)) > 0
    sweeping.forget_unsent_messages(ledger)
    for image_id in leases.orphaned_claims(ledger):
        _settle_orphan(services, image_id)
    # After a death or an empty broker every unclaimed message may be gone; else only old silence shows a loss.
    seconds = 0.0 if broker_is_new or somebody_died else preferences.unclaimed_after_seconds
    lost = sweeping.unclaimed_since(ledger, timedelta(seconds=seconds))
    if lost:
        logger.warning("sweep: sending %d images again", len(lost))
        graph.publish(redispatch(ledger, lost))
    for batch_id, model in sweeping.releasable(ledger):
        graph.release(services, batch_id, model)
    for batch_id in sweeping.resting_unsaid(ledger):
        graph.summarise(batch_id)


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
