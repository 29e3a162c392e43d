"""What a dead worker, or a dead child of a worker's pool, had in hand."""

from __future__ import annotations

import logging
from typing import Any

from billiard.exceptions import WorkerLostError

from tasks import graph
from tasks.core.dispatch import Ticket
from tasks.core.errors import ErrorClass, Superseded, WorkerDied
from tasks.core.retry import Failure, after_generate
from tasks.ledger import jobs
from tasks.ledger.claiming import claim_of, orphan
from tasks.ledger.dispatching import redispatch
from tasks.ledger.rows import Claim
from tasks.ledger.settling import settle_failure
from tasks.services import Services, current_services
from tasks.steps.base import Step
from tasks.steps.ending import announce_if_resting, left_to_the_sweep

logger = logging.getLogger(__name__)


class ImageStep(Step):
    """The base of an image's three steps: a child of the pool that dies with an image is made up for at once.

    On a pool of processes the lease is the parent's, which lives: no sweep would find what its child had in hand.
    """

    abstract = True

    def on_retry(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called in the parent, too, when Celery tries the message of a lost child again; that one is stale then."""
        super().on_retry(exc, task_id, args, kwargs, einfo)
        if isinstance(exc, WorkerLostError):
            with left_to_the_sweep(f"what a lost process had in hand, image {args[0]}"):
                _child_died(current_services(), Ticket(*args))


def _child_died(services: Services, ticket: Ticket) -> None:
    claim = claim_of(services.ledger, ticket)
    if claim is not None:
        _settle(services, claim)
    else:
        graph.publish(redispatch(services.ledger, [ticket.image_id]))


def settle_orphan(services: Services, image_id: int, fence: int) -> None:
    """End the claim of a dead worker, unless it has been settled after all."""
    claim = orphan(services.ledger, image_id, fence)
    if claim is not None:
        _settle(services, claim)


def _settle(services: Services, claim: Claim) -> None:
    """The outcome of the call is unknown and counts as spent, unless the provider goes on with it by itself."""
    if jobs.park(services.ledger, claim):
        return
    error = WorkerDied("the worker died during the call; whether it was paid is not known")
    failure = Failure(ErrorClass.AMBIGUOUS, attempts=claim.attempt, unknowns=claim.unknowns + 1)
    decision = after_generate(failure, services.retry_rules)
    try:
        settle_failure(services.ledger, claim, error, decision)
    except Superseded:
        return
    logger.warning("image %s of %s: %s", claim.key, claim.batch_id, error)
    with left_to_the_sweep(f"the end of image {claim.image_id}'s call"):
        services.limits.release(claim.spec["alias"], Ticket(claim.image_id, claim.dispatch_no).member)
    if decision.end is not None:
        announce_if_resting(services, claim.batch_id)
    else:
        graph.publish(redispatch(services.ledger, [claim.image_id]))
