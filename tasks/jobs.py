"""What a provider's call about a job sets going."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tasks import publishing
from tasks.core import routing
from tasks.ledger import jobs
from tasks.providers.base import QueueProvider
from tasks.services import Services

_LOST_AFTER = timedelta(seconds=30)


def called(services: Services, image_id: int, fence: int, body: bytes) -> bool:
    """Record that a provider has called about the job of a claim, and let its task go on.

    Returns ``False`` when there is no such job, or ``body`` is about another one. A repeated call, and one about a
    job that has ended, is ``True`` and changes nothing. The caller has authenticated it. Raises LedgerUnavailable;
    redis.RedisError and kombu's OperationalError when the task cannot be sent: the sweep sends it then.
    """
    job = jobs.find(services.ledger, image_id, fence)
    if job is None:
        return False
    provider = services.provider(job.provider)
    about = provider.job_of(body) if isinstance(provider, QueueProvider) else None
    if about is not None and job.job_id is not None and about != job.job_id:
        return False
    came = jobs.call_came(services.ledger, image_id, fence, body, datetime.now(UTC) + _LOST_AFTER)
    if came is None:
        return False
    late = {"name": routing.KEEP_LATE, "kwargs": {"image_id": image_id, "fence": fence}}
    message = late if came.too_late else came.message
    if message is not None:
        with publishing.impatient() as producer:
            publishing.send([message], producer)
    return True
