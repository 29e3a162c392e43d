"""``imagechord.collect``: complete a ``generate`` whose provider answers later, in its chain and its chord."""

from __future__ import annotations

import logging

from celery.exceptions import Ignore

from tasks.celery import app
from tasks.core import routing
from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import StepError
from tasks.ledger import jobs, settling
from tasks.ledger.rows import Claim, Job
from tasks.services import Services, current_services
from tasks.steps.ending import left_to_the_sweep, refill
from tasks.steps.failing import fail
from tasks.steps.later import gather, gather_late
from tasks.steps.orphans import ImageStep
from tasks.steps.subject import bind
from tasks.steps.timing import timed

logger = logging.getLogger(__name__)


def collect(services: Services, ticket: Ticket) -> None:
    """Take the image back, fetch its picture, settle. Returns when the chain is to go on.

    Raises Celery's Ignore while the provider is at work or somebody else is at it; ImageEnded or Superseded when
    the image does not go on with this message.
    """
    taken = jobs.take(services.ledger, ticket, services.worker_id)
    if taken is jobs.NoJob.TWIN:
        raise Ignore
    if isinstance(taken, tuple):
        _complete(services, ticket, *taken)


def _complete(services: Services, ticket: Ticket, claim: Claim, job: Job) -> None:
    bind(batch=claim.batch_id, sku=claim.key, model=claim.spec["alias"])
    try:
        # From when it was handed in: that is how long the picture took.
        with timed(services, StepName.GENERATE, claim.spec["alias"], since=job.submitted_at):
            settling.settle_generated(services.ledger, claim, gather(services, claim, job))
        logger.info("%s %s: generated, call %d", claim.batch_id, claim.key, claim.attempt)
    except Ignore:
        raise
    except StepError as error:
        _end(services, ticket, claim)
        fail(services, claim, error, tries=0)
    _end(services, ticket, claim)


def keep_late(services: Services, image_id: int, fence: int) -> None:
    """Fetch the picture of a job that was given up before its provider called: it is paid for, whoever uses it."""
    found = jobs.late(services.ledger, image_id, fence)
    if found is None:
        return
    claim, job = found
    try:
        settling.keep_late(services.ledger, claim, gather_late(services, claim, job))
        logger.info("%s %s: its picture came late and is kept", claim.batch_id, claim.key)
    except StepError as error:
        logger.warning("%s %s: what came late is no picture: %s", claim.batch_id, claim.key, error)


def _end(services: Services, ticket: Ticket, claim: Claim) -> None:
    """The call is not in flight any more: others may start."""
    model = claim.spec["alias"]
    with left_to_the_sweep(f"the turn of image {ticket.image_id}"):
        services.limits.release(model, ticket.member)
    refill(services, model)


@app.task(base=ImageStep, name=routing.COLLECT)
def collect_task(image_id: int, dispatch_no: int) -> None:
    """See what has become of one job."""
    collect(current_services(), Ticket(image_id, dispatch_no))


@app.task(name=routing.KEEP_LATE)
def keep_late_task(image_id: int, fence: int) -> None:
    """See what a job has brought after all."""
    keep_late(current_services(), image_id, fence)
