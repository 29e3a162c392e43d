"""Celery's settings: queues, routes and schedule come from the catalogue, the rest says why it is so."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from kombu import Queue
from redis import ConnectionPool

from tasks.core import routing
from tasks.core.errors import ConfigurationError
from tasks.settings import load_settings

_settings = load_settings()
if _settings.redis_url is None:
    raise ConfigurationError(
        "no broker: set IMAGECHORD_REDIS_URL or REDIS_URL, for example to redis://localhost:6379/0 "
        "('imagechord run' starts a broker of its own when neither is set)"
    )


def _for_kombu(url: str) -> str:
    """redis-py writes a unix socket as ``unix://``, Kombu as ``redis+socket://``; TLS options are :func:`_tls`'s."""
    if url.startswith("unix://"):
        path, _, query = url.removeprefix("unix://").partition("?")
        return f"redis+socket://{path}?{query.replace('db=', 'virtual_host=') or 'virtual_host=0'}"
    parts = urlsplit(url)
    rest = [(name, value) for name, value in parse_qsl(parts.query) if not name.startswith("ssl_")]
    return parts._replace(query=urlencode(rest)).geturl()


def _tls(url: str) -> dict[str, Any] | None:
    """How a ``rediss://`` server is known to be the right one: as its URL says, by redis-py's rules.

    From the URL Kombu would take a missing ``ssl_cert_reqs`` for "none", Celery's backend would refuse that, and
    Flower would see nothing.
    """
    if not url.startswith("rediss://"):
        return None
    told = ConnectionPool.from_url(url).connection_kwargs
    return {"ssl_cert_reqs": "required"} | {k: v for k, v in told.items() if k.startswith("ssl_")}


def _route(name: str, *_args: Any, **_options: Any) -> dict[str, Any] | None:
    found = routing.route(name)
    return None if found is None else {"queue": found[0], "priority": found[1]}


_concurrency = _settings.preferences.worker_concurrency

broker_url = result_backend = _for_kombu(_settings.redis_url)
broker_use_ssl = redis_backend_use_ssl = _tls(_settings.redis_url)
broker_connection_retry_on_startup = True
broker_transport_options = {
    # A connection per thread that acks, with room for the consumer's own.
    "max_connections": _concurrency + 50,
    "visibility_timeout": 2 * 3600,
    "socket_keepalive": True,
    "health_check_interval": 25,
    # Leaves out the queues that the consumer has enough of.
    "queue_order_strategy": "tasks.steps.queues:OpenQueues",
}
redis_max_connections = _concurrency + 50
result_backend_thread_safe = True
result_backend_always_retry = True

task_queues = [Queue(routing.model_queue(alias)) for alias in _settings.catalogue.models] + [
    Queue(routing.DELIVER_QUEUE),
    Queue(routing.CONTROL_QUEUE),
]
task_default_queue = routing.CONTROL_QUEUE
task_routes = (_route,)
task_serializer = "json"
accept_content = ["json"]
# Host projects may share the Redis: `celery control` of one must not reach the other.
control_exchange = "imagechord.pidbox"
event_exchange = "imagechord.events"

# A chord counts parts without stored results, and a part whose success is stored but not counted stalls it.
task_ignore_result = True
# The gap between two completions of a chord, not its length.
result_chord_expires = 14 * 86400
result_expires = 86400

task_acks_late = True
task_retry_on_worker_lost = True
worker_prefetch_multiplier = 1
worker_eta_task_limit = 2000
worker_consumer = "tasks.steps.consumer:LimitedConsumer"
# Hundreds of waiting calls in a few megabytes; I/O deadlines are explicit everywhere.
worker_pool = "threads"
worker_concurrency = _concurrency
worker_hijack_root_logger = True
worker_log_color = False if _settings.logs_json else None  # None: on a terminal
worker_redirect_stdouts = _settings.logs_json  # then what others print is a line of the log, too

timezone = _settings.preferences.timezone
enable_utc = True
beat_schedule = {"sweep": {"task": routing.SWEEP, "schedule": _settings.preferences.sweep_every_seconds}}
# In memory: an entry that is due every few seconds needs no memory of its last run, nor a file for it to be kept in.
beat_scheduler = "celery.beat:Scheduler"
