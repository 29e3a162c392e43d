"""``imagechord.sweep``: heal what a dead worker, a lost message or an empty broker left behind. Safe to repeat."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from tasks import graph
from tasks.celery import app
from tasks.core import routing
from tasks.core.dispatch import Dispatch, StepName, Ticket
from tasks.core.errors import Ambiguous, ErrorClass, Superseded
from tasks.core.limits import CMS
from tasks.core.retry import Failure, after_generate
from tasks.ledger import holding, leases, sweeping, unplanned
from tasks.ledger.claiming import orphan
from tasks.ledger.dispatching import redispatch
from tasks.ledger.settling import settle_failure
from tasks.limiting import broker_epoch
from tasks.limits.underway import under_way
from tasks.services import Services, current_services
from tasks.steps.ending import announce_if_resting, left_to_the_sweep

logger = logging.getLogger(__name__)

_MOST_AT_ONCE = 10_000
_SETTLING = timedelta(minutes=5)
"""How long after its deadline a call may still be settled, by a worker that lives."""


def sweep_once(services: Services) -> None:
    """One pass over everything that may be stuck; what fails in one part does not keep the others from their work."""
    for heal in (
        _bury_the_dead,
        _settle_orphans,
        _keep_holds,
        _send_lost_again,
        _begin_unbegun,
        _release_due,
        _summarise_resting,
    ):
        with left_to_the_sweep(heal.__name__.strip("_")):
            heal(services)


def _bury_the_dead(services: Services) -> None:
    leases.reap(services.ledger, _expires(services))
    sweeping.forget_unsent_messages(services.ledger)


def _settle_orphans(services: Services) -> None:
    """Claims that nobody will settle: their worker is dead, or the call's end was lost in it."""
    longest = max(spec.deadline_seconds for spec in services.settings.catalogue.models.values())
    overdue = datetime.now(UTC) - timedelta(seconds=longest) - _SETTLING
    for image_id in leases.orphaned_claims(services.ledger, overdue):
        with left_to_the_sweep(f"settling image {image_id}"):
            _settle_orphan(services, image_id)


def _settle_orphan(services: Services, image_id: int) -> None:
    """The outcome of the call is unknown and counts as spent."""
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
    logger.warning("sweep: image %s of %s: %s", claim.key, claim.batch_id, error)
    with left_to_the_sweep(f"the end of image {image_id}'s call"):
        services.limits.release(claim.spec["alias"], Ticket(image_id, claim.dispatch_no).member)
    if decision.end is not None:
        announce_if_resting(services, claim.batch_id)
    else:
        graph.publish(redispatch(services.ledger, [image_id]))


def _keep_holds(services: Services) -> None:
    """Holds whose time is over end; of the others, images follow that whoever made the hold has left behind."""
    for batch_id in holding.lift_due(services.ledger):
        logger.info("sweep: %s goes on", batch_id)
    holding.apply_holds(services.ledger)


def _send_lost_again(services: Services) -> None:
    """Send the images again of which nobody has a message any more.

    What was in a dead worker's hands, or in a broker that has come back empty since, is lost. Beyond that a message
    is lost when the broker does not know it: it may wait long for a slow model, for a pause or for its next try.
    """
    ledger = services.ledger
    death = leases.last_death(ledger, _expires(services))
    gone_before = max(filter(None, (death, broker_epoch(services))))
    silent_since = datetime.now(UTC) - timedelta(seconds=services.settings.preferences.unclaimed_after_seconds)
    gone = sweeping.unclaimed_before(ledger, gone_before, _MOST_AT_ONCE)
    silent = sweeping.unclaimed_before(ledger, silent_since, _MOST_AT_ONCE)
    if not gone and not silent:
        return
    known = under_way(services.redis, [queue.name for queue in app.conf.task_queues])
    lost = {image_id for image_id in gone if image_id not in known.waiting}
    lost |= {image_id for image_id in silent if image_id not in known.waiting | known.in_hand}
    if lost:
        logger.warning("sweep: sending %d images again", len(lost))
        again = redispatch(ledger, sorted(lost), max(gone_before, silent_since))
        _free_turns(services, again)
        graph.publish(again)


def _free_turns(services: Services, dispatches: Iterable[Dispatch]) -> None:
    """Whoever had the sendings before these is gone, and would keep others from the model or the CMS for minutes."""
    gone: dict[str, list[str]] = {}
    for dispatch in dispatches:
        limited = dispatch.model if StepName.GENERATE in dispatch.steps else CMS
        before = Ticket(dispatch.ticket.image_id, dispatch.ticket.dispatch_no - 1)
        gone.setdefault(limited, []).append(before.member)
    for limited, members in gone.items():
        services.limits.release(limited, *members)


def _begin_unbegun(services: Services) -> None:
    """Batches that nobody plans: their message was lost or never sent, or their planner died; refusals unsaid."""
    silence = timedelta(seconds=services.settings.preferences.unclaimed_after_seconds)
    ledger = services.ledger
    for batch_id in [*unplanned.free_unplanned(ledger, silence), *unplanned.refused_unsaid(ledger)]:
        logger.warning("sweep: %s has not begun; asking for it again", batch_id)
        app.signature(routing.START_BATCH, args=(batch_id,), immutable=True).apply_async()


def _release_due(services: Services) -> None:
    for model in sweeping.releasable(services.ledger):
        graph.release(services, model)


def _summarise_resting(services: Services) -> None:
    for batch_id in sweeping.resting_unsaid(services.ledger):
        graph.summarise(batch_id)


def _expires(services: Services) -> timedelta:
    return timedelta(seconds=services.settings.preferences.heartbeat_expires_seconds)


@app.task(name=routing.SWEEP)
def sweep() -> None:
    """Sent by beat, and by every worker's lease in case there is no beat."""
    sweep_once(current_services())
