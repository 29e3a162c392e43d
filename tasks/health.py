"""Whether each component answers: for ``doctor``, and for what must be there before a run. Spends no money."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import wraps
from pathlib import Path
from urllib.parse import urlsplit

import redis
from sqlalchemy.exc import SQLAlchemyError

from tasks.cluster import require_same_ledger, require_same_staging
from tasks.core import routing
from tasks.core.errors import ConfigurationError, StepError
from tasks.core.health import Health
from tasks.core.retirement import has_retired, notice
from tasks.core.standard_webhooks import sign
from tasks.ledger import leases
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import HEAD, current_revision
from tasks.services import Services
from tasks.storage.folder import FolderPublic, FolderStaging

_START_WORKER = "start one: celery -A tasks worker"
_KEYS = {
    "anycap": ("ANYCAP_API_KEY",),
    "openai_compatible": ("OPENAI_API_KEY",),
    "gemini": ("GEMINI_API_KEY",),
    "fal": ("FAL_KEY",),
    "replicate": ("REPLICATE_API_TOKEN",),
}
"""What a provider is set up with, besides the keys of its models' endpoints."""


def check_all(services: Services) -> Iterator[Health]:
    """Every component, in the order in which a picture meets them; each is checked when it is asked for."""
    yield broker(services)
    yield ledger(services)
    yield from cluster(services)
    yield from workers(services)
    for name in dict.fromkeys(spec.provider for spec in services.settings.catalogue.models.values()):
        yield _off_without_key(services, provider(services, name))
    yield from retirement(services)
    yield webhooks(services)
    yield signing(services)
    yield staging(services)
    yield public(services)
    yield cms(services)
    yield from held_deliveries(services)
    yield slack(services)


def _guarded(component: str) -> Callable[[Callable[[Services], Health]], Callable[[Services], Health]]:
    """A component that cannot even be built is bad, not an error of ours."""

    def decorate(check: Callable[[Services], Health]) -> Callable[[Services], Health]:
        @wraps(check)
        def guarded(services: Services) -> Health:
            try:
                return check(services)
            except ConfigurationError as error:
                return Health(component, "bad", str(error))

        return guarded

    return decorate


def provider(services: Services, name: str) -> Health:
    """A provider by its name."""
    return _guarded(name)(lambda services: services.provider(name).check())(services)


def _off_without_key(services: Services, one: Health) -> Health:
    """A provider that nobody has set up is not broken."""
    models = services.settings.catalogue.models.values()
    endpoints = [spec.endpoint for spec in models if spec.provider == one.component and spec.endpoint]
    variables = {*_KEYS.get(one.component, ()), *(endpoint.key_variable for endpoint in endpoints)}
    set_up = any(not variable or services.settings.get(variable) for variable in variables)
    return replace(one, status="off") if one.status == "bad" and variables and not set_up else one


@_guarded("webhooks")
def webhooks(services: Services) -> Health:
    """Whether providers can be told where to call; whether they get through, only they could say."""
    base_url = services.settings.webhook_base_url
    if base_url is None:
        mend = "set WEBHOOK_BASE_URL and WEBHOOK_SECRET, and start: imagechord web"
        return Health("webhooks", "off", "no WEBHOOK_BASE_URL: providers are asked what has become of their jobs", mend)
    return Health("webhooks", "ok", f"providers are to call {base_url}")


@_guarded("signing")
def signing(services: Services) -> Health:
    """Whether a batch's webhook could be told signed events; where it leads is each batch's own matter."""
    secret = services.settings.get("WEBHOOK_SECRET")
    if secret is None:
        return Health("signing", "off", "no WEBHOOK_SECRET: run --webhook is refused", "imagechord init makes one up")
    sign(secret, "evt_0", 0, b"")
    return Health("signing", "ok", "run --webhook tells signed events (WEBHOOK_SECRET)")


def retirement(services: Services) -> Iterator[Health]:
    """Models that go away; bad are those that are gone and that a run would take without naming them."""
    catalogue, today = services.settings.catalogue, services.settings.today
    for alias, spec in catalogue.models.items():
        if said := notice(catalogue.models, alias, today):
            taken = alias == catalogue.default_model or spec.uses
            mend = "in models.toml, give its uses, or default_model, to another model" if taken else ""
            yield Health(f"model {alias}", "bad" if taken and has_retired(spec, today) else "warn", said, mend)


@_guarded("staging")
def staging(services: Services) -> Health:
    """Where paid pictures wait; a folder that is not there yet is not made for the answer."""
    store = services.staging
    fresh = isinstance(store, FolderStaging) and _fresh_folder("staging", store.root)
    return fresh or store.check()


@_guarded("public storage")
def public(services: Services) -> Health:
    """Where the world sees them; as for staging."""
    store = services.public
    fresh = isinstance(store, FolderPublic) and _fresh_folder("public storage", store.root)
    return fresh or store.check()


@_guarded("cms")
def cms(services: Services) -> Health:
    """Whether the CMS answers."""
    return services.cms.check()


def held_deliveries(services: Services) -> Iterator[Health]:
    """Destinations that have lately taken nothing, so that pictures wait for them."""
    try:
        outages = services.breaker.look() if services.settings.redis_url else []
    except redis.RedisError:  # the broker's own line says so
        return
    for outage in outages:
        since = f"held since {outage.since:%Y-%m-%d %H:%M:%S} UTC"
        mend = "bring it back: delivery then goes on by itself"
        yield Health(f"delivery to {outage.destination}", "bad", f"{since}: {outage.message}", mend)


@_guarded("slack")
def slack(services: Services) -> Health:
    """Whether a message could be sent."""
    return services.notifier.check()


def _fresh_folder(component: str, folder: Path) -> Health | None:
    parent = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if parent == folder or not (parent.is_dir() and os.access(parent, os.W_OK)):
        return None
    return Health(component, "ok", f"folder {folder} is made by the first run")


def broker(services: Services) -> Health:
    """Whether Redis answers, and keeps what it is given: one that evicts keys would lose pictures."""
    url = services.settings.redis_url
    if url is None:
        return Health(
            "broker",
            "off",
            "no REDIS_URL: 'imagechord run' brings a Valkey and a worker of its own",
            "for workers of yours, set IMAGECHORD_REDIS_URL",
        )
    where = _without_password(url)
    try:
        policy = _eviction_policy(services.redis)
    except (redis.RedisError, ValueError) as error:
        mend = "start it, correct REDIS_URL, or unset it: then 'imagechord run' brings a broker of its own"
        return Health("broker", "bad", f"{where} does not answer: {error}", mend)
    if policy not in {None, "noeviction"}:
        mend = "set IMAGECHORD_REDIS_URL to one of our own, or run: redis-cli config set maxmemory-policy noeviction"
        return Health("broker", "bad", f"{where} evicts keys when it is full ({policy}): pictures would be lost", mend)
    known = "noeviction" if policy else "its maxmemory-policy cannot be read: see that it is noeviction"
    return Health("broker", "ok", f"{where} answers, {known}")


def _eviction_policy(client: redis.Redis) -> str | None:
    """The server's ``maxmemory-policy``; ``None`` where the server does not tell, as hosted ones do."""
    client.ping()
    told = client.info("memory")
    policy = told.get("maxmemory_policy") if isinstance(told, dict) else None
    return str(policy) if policy else None


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="").geturl()


def ledger(services: Services) -> Health:
    """Whether the database answers, and has this version's tables. Creates no file."""
    try:
        url = parse_database_url(services.settings.database_url)
        where = url.render_as_string(hide_password=True)
        if not services.ledger_exists():
            return Health("ledger", "ok", f"{where} is made by the first run")
        revision = current_revision(Ledger(url))
    except (ConfigurationError, SQLAlchemyError, OSError) as error:
        return Health("ledger", "bad", str(error), "start the database, or correct IMAGECHORD_DATABASE_URL")
    if revision == HEAD:
        return Health("ledger", "ok", f"{where}, revision {revision}")
    return Health("ledger", "bad", f"{where} has revision {revision or 'none'}, not {HEAD}", "run: imagechord migrate")


def cluster(services: Services) -> Iterator[Health]:
    """Whether this installation's ledger and staging are those of the workers behind its Redis."""
    if services.settings.redis_url is None or ledger(services).status == "bad":
        return
    try:
        require_same_ledger(services)
        require_same_staging(services)
    except ConfigurationError as error:
        yield Health("cluster", "bad", str(error))
    except (redis.RedisError, StepError):
        return  # said by the broker's own check, and by staging's
    else:
        yield Health("cluster", "ok", "one ledger and one staging")


def workers(services: Services) -> Iterator[Health]:
    """Living workers, and the queues that nobody serves."""
    if services.settings.redis_url is None:
        return
    if ledger(services).status == "bad" or not services.ledger_exists():
        yield Health("workers", "bad", "none has ever used this ledger", _START_WORKER)
        return
    idle = unserved_queues(services, services.settings.catalogue.models)
    live = _live_queues(services)
    if not live:
        yield Health("workers", "bad", "none is alive", _START_WORKER)
    elif idle:
        yield Health("workers", "bad", f"nobody serves {', '.join(idle)}", f"{_START_WORKER} -Q {','.join(idle)}")
    else:
        yield Health("workers", "ok", f"{len(live)} queues are served")


def unserved_queues(services: Services, models: Iterable[str]) -> list[str]:
    """Queues that pictures of these models need and no living worker consumes."""
    live = _live_queues(services)
    needed = [*map(routing.model_queue, models), routing.DELIVER_QUEUE, routing.CONTROL_QUEUE]
    return [queue for queue in needed if queue not in live]


def _live_queues(services: Services) -> set[str]:
    return leases.live_queues(services.ledger, services.settings.preferences.lease)
