"""``imagechord.sweep``: heal what a dead worker, a lost message or an empty broker left behind. Safe to repeat."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from tasks import cluster, graph, publishing
from tasks.celery import app
from tasks.core import routing
from tasks.core.dispatch import Dispatch, StepName, Ticket
from tasks.core.holds import Reason
from tasks.core.limits import CMS
from tasks.core.outages import DESTINATIONS, WAITS_IN, Outage
from tasks.ledger import events, following, holding, jobs, leases, sweeping, unplanned
from tasks.ledger.dispatching import redispatch
from tasks.limiting import broker_epoch
from tasks.limits.underway import under_way
from tasks.services import Services, current_services
from tasks.steps import falling_back
from tasks.steps.ending import left_to_the_sweep
from tasks.steps.held import ask_for_news, tell_soon
from tasks.steps.orphans import settle_orphan
from tasks.steps.pruning import Pruner
from tasks.steps.telling import ask

logger = logging.getLogger(__name__)

_MOST_AT_ONCE = 10_000
_STAGING_KEPT_KEY, _STAGING_EVERY_SECONDS = "imagechord:staging-kept", 60
_SETTLING = timedelta(minutes=5)
"""How long after its deadline a call may still be settled, by a worker that lives."""
_LOOK_AGAIN = timedelta(seconds=30)
"""After so long a message that asks about a job counts as lost."""

_pruner = Pruner()


def sweep_once(services: Services) -> None:
    """One pass over everything that may be stuck; what fails in one part does not keep the others from their work."""
    for heal in (
        _bury_the_dead,
        _park_jobs,
        _settle_orphans,
        _look_at_jobs,
        _keep_holds,
        _send_lost_again,
        _probe_destinations,
        _begin_unbegun,
        _release_due,
        _summarise_resting,
        _tell_webhooks,
        _tell_news,
        _keep_staging,
        _pruner.prune_if_due,
    ):
        with left_to_the_sweep(heal.__name__.strip("_")):
            heal(services)
    services.meter.swept()


def _bury_the_dead(services: Services) -> None:
    died = leases.reap(services.ledger, services.settings.preferences.lease)
    services.meter.found("deaths_of_workers", int(died is not None))
    sweeping.forget_unsent_messages(services.ledger)


def _park_jobs(services: Services) -> None:
    """What a dead worker had handed in goes on without it."""
    parked = jobs.park_orphans(services.ledger, _overdue(services))
    services.meter.found("jobs_without_worker", parked)
    if parked:
        logger.warning("sweep: %d jobs go on without their worker", parked)


def _overdue(services: Services) -> datetime:
    """What was claimed before then is settled by now, or its end was lost."""
    longest = timedelta(seconds=services.settings.catalogue.longest_deadline_seconds)
    return datetime.now(UTC) - longest - _SETTLING


def _settle_orphans(services: Services) -> None:
    """Claims that nobody will settle: their worker is dead, or the call's end was lost in it."""
    orphans = leases.orphaned_claims(services.ledger, _overdue(services))
    services.meter.found("calls_without_worker", len(orphans))
    for image_id, fence in orphans.items():
        with left_to_the_sweep(f"settling image {image_id}"):
            settle_orphan(services, image_id, fence)


def _look_at_jobs(services: Services) -> None:
    """Ask about the jobs that should have ended: their webhook is late, or there is none."""
    unless_done_by = datetime.now(UTC) + _LOOK_AGAIN
    while due := jobs.due(services.ledger, unless_done_by):
        publishing.send(due)


def _keep_holds(services: Services) -> None:
    """Holds whose time is over end; of the others, images follow that whoever made the hold has left behind."""
    for batch_id in holding.lift_due(services.ledger):
        logger.info("sweep: %s goes on", batch_id)
    holding.apply_holds(services.ledger)
    falling_back.move_on(services)


def _send_lost_again(services: Services) -> None:
    """Send the images again of which nobody has a message any more.

    What was in a dead worker's hands, in those of one that has lost its connection, or in a broker that has come back
    empty since, is lost. Beyond that a message is lost when the broker does not know it: it may wait long for a slow
    model, for a pause or for its next try.
    """
    ledger = services.ledger
    death = leases.last_death(ledger)
    gone_before = max(filter(None, (death, broker_epoch(services))))
    silent_since = datetime.now(UTC) - timedelta(seconds=services.settings.preferences.unclaimed_after_seconds)
    held = [WAITS_IN[outage.destination] for outage in services.breaker.look()]
    gone = sweeping.unclaimed_before(ledger, gone_before, _MOST_AT_ONCE, held=held)
    silent = sweeping.unclaimed_before(ledger, silent_since, _MOST_AT_ONCE, held=held)
    if not gone and not silent:
        return
    known = under_way(services.redis, [queue.name for queue in app.conf.task_queues])
    lost = {ticket.image_id for ticket in gone if ticket not in known.waiting}
    lost |= {ticket.image_id for ticket in silent if ticket not in known.waiting | known.in_hand}
    if lost:
        logger.warning("sweep: sending %d images again", len(lost))
        again = redispatch(ledger, sorted(lost), max(gone_before, silent_since))
        services.meter.found("lost_messages", len(again))
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


def _probe_destinations(services: Services) -> None:
    """Send one picture to a destination that takes nothing, when it is time to; in the end, leave them to a person."""
    for outage in services.breaker.look():
        _give_up_waiting(services, outage)
        probe = sweeping.next_probe(services.ledger, WAITS_IN[outage.destination]) if outage.probe_due else None
        if probe is not None:
            graph.publish(redispatch(services.ledger, [probe]))


def _give_up_waiting(services: Services, outage: Outage) -> None:
    """Hold the batches that have waited for this outage's end for too long: nothing more is bought for them."""
    too_long = datetime.now(UTC) - timedelta(hours=services.settings.preferences.deliver_for_hours)
    if outage.since > too_long:
        return
    message = f"{DESTINATIONS[outage.destination]}: down since {outage.since:%Y-%m-%d %H:%M} UTC: {outage.message}"
    for batch_id in sweeping.waiting_since(services.ledger, WAITS_IN[outage.destination], too_long):
        logger.warning("sweep: %s is held: %s", batch_id, message)
        if holding.hold_batch(services.ledger, batch_id, Reason.FAILURES, message):
            tell_soon(batch_id)


def _begin_unbegun(services: Services) -> None:
    """Batches that nobody plans: their message was lost or never sent, or their planner died; refusals unsaid."""
    silence = timedelta(seconds=services.settings.preferences.unclaimed_after_seconds)
    ledger = services.ledger
    for batch_id in [*unplanned.free_unplanned(ledger, silence), *unplanned.refused_unsaid(ledger)]:
        services.meter.found("batches_not_begun", 1)
        logger.warning("sweep: %s has not begun; asking for it again", batch_id)
        app.signature(routing.START_BATCH, args=(batch_id,), immutable=True).apply_async()


def _release_due(services: Services) -> None:
    for model in sweeping.releasable(services.ledger):
        graph.release(services, model)


def _summarise_resting(services: Services) -> None:
    for batch_id in sweeping.resting_unsaid(services.ledger):
        graph.summarise(batch_id)


def _tell_webhooks(services: Services) -> None:
    for batch_id in events.due(services.ledger):
        ask(batch_id)


def _tell_news(services: Services) -> None:
    for batch_id in following.with_news(services.ledger):
        ask_for_news(batch_id)


def _keep_staging(services: Services) -> None:
    if services.redis.set(_STAGING_KEPT_KEY, services.worker_id, nx=True, ex=_STAGING_EVERY_SECONDS):
        cluster.keep_mark(services)


@app.task(name=routing.SWEEP)
def sweep() -> None:
    """Sent by beat, and by every worker's lease in case there is no beat."""
    sweep_once(current_services())
