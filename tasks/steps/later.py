"""Calls that are answered later: handing a job in, and gathering what has become of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from celery.exceptions import Ignore

from tasks import publishing
from tasks.core import routing
from tasks.core.catalogue import ModelSpec
from tasks.core.errors import Ambiguous, BadBytes, ErrorClass, StepError
from tasks.core.looking import look_after_seconds
from tasks.ledger import jobs
from tasks.ledger.rows import Claim, Job
from tasks.ledger.settling import Bought
from tasks.providers.base import GeneratedPicture, QueueProvider
from tasks.services import Services
from tasks.steps.buying import keep, request_of
from tasks.steps.failing import as_step_errors

_SUBMIT_SECONDS = 60.0
"""A provider that only takes a job on answers at once, or has not heard us."""

_CALLS_LATE = timedelta(hours=24)
"""So long after its time a job's webhook is still listened to: what comes then has been paid for."""

_MAY_PASS = frozenset(
    {
        ErrorClass.NOT_SENT,
        ErrorClass.RATE_LIMITED,
        ErrorClass.OVERLOADED,
        ErrorClass.AMBIGUOUS,
        ErrorClass.ACCOUNT,
    }
)
"""Met while asking about a job, they say nothing about it: it is asked about again until its time is over."""

_PAID_FOR = frozenset({ErrorClass.BAD_BYTES, ErrorClass.LOST, ErrorClass.ACCOUNT})
"""A picture was made, or perhaps was: what these have cost is the list price where they do not say."""


def goes_on(task: Any) -> dict[str, Any]:
    """The message of a task that completes this very one: of the same id, in its chain and its chord."""
    request = task.request
    options = {name: value for name, value in request.as_execution_options().items() if value}
    kept = {"task_id", "root_id", "parent_id", "group_id", "group_index", "chord", "chain", "link", "link_error"}
    placed = {name: options[name] for name in kept & set(options)}
    # The first of a group has the index 0.
    shown = {"argsrepr": request.get("argsrepr"), "group_index": request.group_index}
    return {"name": routing.COLLECT, "args": list(request.args), **placed, **shown}


def hand_in(services: Services, provider: QueueProvider, claim: Claim, message: dict[str, Any]) -> NoReturn:
    """Let the provider take the job on, and leave it alone with it: ``message`` goes on later.

    Raises Celery's Ignore when it has, or perhaps has and will call; StepError when it has not.
    """
    spec, now = ModelSpec.model_validate(claim.spec), datetime.now(UTC)
    due_at = now + timedelta(seconds=spec.deadline_seconds)
    url = services.webhook_url(spec.provider, claim.image_id, claim.fence, due_at + _CALLS_LATE)
    # Of a job without a name nothing can be known, unless the provider calls.
    job = Job(spec.provider, submitted_at=now, due_at=now if url is None else due_at, look_at=due_at)
    jobs.intend(services.ledger, claim, job, message)
    try:
        with request_of(services, claim, spec, _SUBMIT_SECONDS) as request:
            job_id = provider.submit(request, url)
    except StepError as error:
        if url is None or error.error_class is not ErrorClass.AMBIGUOUS:
            jobs.forget(services.ledger, claim)
            raise
        jobs.park(services.ledger, claim)
    else:
        look_at = min(now + _patience(services, spec, looks=0), due_at)
        named = replace(job, job_id=job_id, due_at=due_at, look_at=look_at)
        if jobs.accepted(services.ledger, claim, named):
            publishing.send([message])
    raise Ignore


def gather(services: Services, claim: Claim, job: Job) -> Bought:
    """The picture of a job. Raises Celery's Ignore while it is not ready: the image has been let go until then.

    Raises StepError when the job has come to nothing, or nothing is known of it when its time is over.
    """
    spec = ModelSpec.model_validate(claim.spec)
    over = datetime.now(UTC) >= job.due_at
    try:
        with as_step_errors(claim):
            picture = _ask(services, claim, spec, job)
            if picture is not None:
                return keep(services, claim, picture)
    except StepError as error:
        if error.error_class in _MAY_PASS and not over:
            _leave(services, spec, claim, job)
        raise _last_word(claim, error) from error
    if not over:
        _leave(services, spec, claim, job)
    raise Ambiguous(f"{job.provider} was still at work on {job.job_id} after {spec.deadline_seconds:g} s")


def gather_late(services: Services, claim: Claim, job: Job) -> Bought:
    """The picture of a job that nobody waits for any more. Raises StepError when there is none, or not yet."""
    spec = ModelSpec.model_validate(claim.spec)
    picture = _ask(services, claim, spec, job)
    if picture is None:
        raise Ambiguous(f"{job.provider} has called, and is still at work")
    return keep(services, claim, picture)


def _ask(services: Services, claim: Claim, spec: ModelSpec, job: Job) -> GeneratedPicture | None:
    provider = services.provider(job.provider)
    if not isinstance(provider, QueueProvider):
        raise Ambiguous(f"{job.provider} does not answer later any more; what became of the job is not known")
    job_id = job.job_id or (provider.job_of(job.said) if job.said else None)
    if job_id is None:
        raise Ambiguous(f"{job.provider} has not said whether it took the job on; it may have been paid for")
    with request_of(services, claim, spec, _SUBMIT_SECONDS, asks=True) as request:
        try:
            return provider.collect(request, job_id, job.said)
        except BadBytes:  # it is paid for: fetching it once more costs nothing
            return provider.collect(request, job_id, None)


def _leave(services: Services, spec: ModelSpec, claim: Claim, job: Job) -> NoReturn:
    look_at = datetime.now(UTC) + _patience(services, spec, looks=job.looks + 1)
    jobs.look_later(services.ledger, claim, min(look_at, max(job.due_at, datetime.now(UTC))))
    raise Ignore


def _patience(services: Services, spec: ModelSpec, looks: int) -> timedelta:
    preferences = services.settings.preferences
    overdue = None if services.webhook_base is None else preferences.webhook_overdue_seconds
    return timedelta(seconds=look_after_seconds(looks, spec.typical_seconds, overdue))


def _last_word(claim: Claim, error: StepError) -> StepError:
    """What an error about a job means for its image: the job may be paid for unless the provider has said otherwise."""
    if error.error_class in {ErrorClass.NOT_SENT, ErrorClass.RATE_LIMITED, ErrorClass.OVERLOADED}:
        return Ambiguous(f"nothing could be learnt about the job: {error}")
    if error.error_class in _PAID_FOR and error.cost_usd_micros is None:
        error.cost_usd_micros = claim.price_usd_micros
    return error
