"""One ledger and one staging for all that share a Redis: with two of either, pictures are bought twice or not found.

A ledger has an id in its database, a staging has one in an object of its own. Redis holds those of the cluster, from
its first worker, and its workers put them back when Redis has lost them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from redis import RedisError

from tasks.core.errors import ConfigurationError, Invalid, StepError
from tasks.ledger import leases
from tasks.ledger.delivering import needs_staging
from tasks.services import Services
from tasks.storage.base import Staging

LEDGER_KEY = "imagechord:ledger"
STAGING_KEY = "imagechord:staging"
_STAGING_LOCK, _LOCK_SECONDS = "imagechord:staging-lock", 60
_MARK = "imagechord-staging-id"


@dataclass(frozen=True, slots=True)
class Membership:
    """The ids of the ledger and of the staging that a worker goes by."""

    ledger: str
    staging: str


def require_same_ledger(services: Services) -> None:
    """See that the workers behind this Redis read the ledger that is about to be written.

    Says nothing while Redis does not answer: whoever needs it says so. Raises ConfigurationError.
    """
    if services.settings.redis_url is None:
        return
    try:
        theirs = _registered(services, LEDGER_KEY)
    except RedisError:
        return
    if theirs is None:
        return
    mine = services.ledger.identity() if services.ledger_exists() else ""
    if mine != theirs:
        raise _other_ledger(mine, theirs)


def join(services: Services) -> Membership:
    """Be a worker of this Redis's cluster, or begin one.

    Raises ConfigurationError when the cluster has another ledger or staging, redis.RedisError.
    """
    ledger = services.ledger.identity()
    services.redis.set(LEDGER_KEY, ledger, nx=True)
    theirs = _registered(services, LEDGER_KEY)
    if theirs != ledger:
        raise _other_ledger(ledger, theirs)
    with services.redis.lock(_STAGING_LOCK, timeout=_LOCK_SECONDS, blocking_timeout=2 * _LOCK_SECONDS):
        return Membership(ledger, _join_staging(services))


def stay(services: Services, membership: Membership) -> None:
    """Register again what a Redis that came back empty has lost.

    Raises ConfigurationError when others have meanwhile begun a cluster with another ledger or staging.
    """
    with services.redis.pipeline(transaction=False) as pipe:
        for key, mine in ((LEDGER_KEY, membership.ledger), (STAGING_KEY, membership.staging)):
            pipe.set(key, mine, nx=True)
            pipe.get(key)
        _set, ledger, _set, staging = pipe.execute()
    if ledger is not None and ledger.decode() != membership.ledger:
        raise _other_ledger(membership.ledger, ledger.decode())
    if staging is not None and staging.decode() != membership.staging:
        raise _other_staging(services)


def keep_mark(services: Services) -> None:
    """Put the staging's own id back when it was deleted, by a lifecycle rule perhaps. For workers that have joined."""
    theirs = _registered(services, STAGING_KEY)
    if theirs is not None and _read_mark(services.staging) is None:
        services.staging.put(_MARK, theirs.encode(), "text/plain")


def require_same_staging(services: Services) -> None:
    """See that the staging of this installation is the cluster's.

    Raises ConfigurationError when it is not, StepError and redis.RedisError when that cannot be seen.
    """
    theirs = _registered(services, STAGING_KEY)
    if theirs is not None and theirs != _read_mark(services.staging):
        raise _other_staging(services)


def _join_staging(services: Services) -> str:
    theirs = _registered(services, STAGING_KEY)
    try:
        mine = _read_mark(services.staging)
        if theirs is None or (mine != theirs and _nothing_waits_elsewhere(services)):
            theirs = mine = mine or _make_mark(services.staging)
            services.redis.set(STAGING_KEY, mine)
    except StepError as error:
        raise ConfigurationError(f"staging does not work: {error}") from error
    if mine != theirs:
        raise _other_staging(services)
    return theirs


def _nothing_waits_elsewhere(services: Services) -> bool:
    """Whether no other worker lives and no picture is lost when this staging becomes the cluster's."""
    lease = services.settings.preferences.lease
    return not leases.live_queues(services.ledger, lease) and not needs_staging(services.ledger)


def _read_mark(staging: Staging) -> str | None:
    try:
        return staging.get(_MARK).decode("ascii", "replace")
    except Invalid:
        return None


def _make_mark(staging: Staging) -> str:
    mark = str(uuid.uuid4())
    staging.put(_MARK, mark.encode(), "text/plain")
    return mark


def _registered(services: Services, key: str) -> str | None:
    found = services.redis.get(key)
    return found.decode() if isinstance(found, bytes) else None


def _other_ledger(mine: str, theirs: str | None) -> ConfigurationError:
    return ConfigurationError(
        f"this Redis serves another ledger ({str(theirs)[:8]}…, not {mine[:8] or 'one that is still to be made'}): two "
        f"ledgers would buy the same pictures twice. Set the same IMAGECHORD_DATABASE_URL everywhere (on several "
        f"hosts: PostgreSQL); if the other ledger is gone for good, run: redis-cli del {LEDGER_KEY}"
    )


def _other_staging(services: Services) -> ConfigurationError:
    return ConfigurationError(
        f"the staging of this Redis's workers is not {services.settings.staging_url}: pictures that one of them has "
        f"bought could not be delivered by the other. Set the same STAGING_URL everywhere (a shared disk, or "
        f"s3://bucket/prefix); if the other one is gone for good, run: redis-cli del {STAGING_KEY}"
    )
