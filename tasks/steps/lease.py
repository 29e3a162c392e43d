"""The worker's lease: a Celery bootstep that registers the process, beats, and asks for sweeps."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import redis
from celery import bootsteps
from kombu.exceptions import OperationalError

from tasks.celery import app
from tasks.core import routing
from tasks.core.errors import ConfigurationError, LedgerUnavailable
from tasks.ledger.leases import beat, register_worker, stop_worker
from tasks.limiting import broker_epoch
from tasks.services import Services, current_services
from tasks.steps.control import show_rates

logger = logging.getLogger(__name__)

_LEDGER_KEY = "imagechord:ledger"
_SWEEP_KEY = "imagechord:sweep"
_LAST_WORD_SECONDS = 10.0
"""A thread that still waits for the broker then may be left to the end of the process."""


class Lease(bootsteps.StartStopStep):
    """Starts before the consumer: no task runs without a lease, and none with the wrong ledger."""

    def __init__(self, worker: Any, **_options: Any) -> None:
        super().__init__(worker)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, worker: Any) -> None:
        """Register; raises ConfigurationError when another ledger owns this Redis."""
        services = current_services()
        _require_one_ledger(services)
        # What this Redis held before it was emptied is lost; what is sent from here on is not.
        broker_epoch(services)
        queues = sorted(worker.app.amqp.queues.consume_from)
        services.worker_id = register_worker(services.ledger, worker.hostname, queues)
        # Apart: a broker that is silent must not keep the heartbeat from the ledger.
        self._threads = [
            threading.Thread(target=self._repeat, args=(act, services), name=f"imagechord-{act.__name__}", daemon=True)
            for act in (_beat, _attend)
        ]
        for thread in self._threads:
            thread.start()
        # Not in `stop`: that comes while the pool still finishes calls which have been paid. When these have ended,
        # or been killed with the process, so has the lease.
        atexit.register(self._end, services)

    def _end(self, services: Services) -> None:
        """End the lease: whatever this worker still held may be taken at once."""
        if services.pid != os.getpid() or not self._threads:
            return
        self._stopping.set()
        for thread in self._threads:
            thread.join(_LAST_WORD_SECONDS)
        with contextlib.suppress(LedgerUnavailable):  # it will expire
            stop_worker(services.ledger, services.worker_id)

    def _repeat(self, act: Callable[[Services], None], services: Services) -> None:
        while True:
            try:
                act(services)
            except (LedgerUnavailable, redis.RedisError, OperationalError, OSError) as error:
                logger.warning("lease: %s fails this time: %s", act.__name__.strip("_"), error)
            except Exception:
                logger.exception("lease: unexpected error")
            if self._stopping.wait(services.settings.preferences.heartbeat_every_seconds):
                return


def _beat(services: Services) -> None:
    """Prolong the lease."""
    expires = timedelta(seconds=services.settings.preferences.heartbeat_expires_seconds)
    beat(services.ledger, services.worker_id, expires)


def _attend(services: Services) -> None:
    """See whether the broker has come back empty, and ask for a sweep when one is due."""
    broker_epoch(services)
    show_rates(services)
    sweep_every_ms = round(services.settings.preferences.sweep_every_seconds * 1000)
    if services.redis.set(_SWEEP_KEY, services.worker_id, nx=True, px=sweep_every_ms):
        app.signature(routing.SWEEP, immutable=True).apply_async(retry=False)


def _require_one_ledger(services: Services) -> None:
    mine = services.ledger.identity()
    services.redis.set(_LEDGER_KEY, mine, nx=True)
    found = services.redis.get(_LEDGER_KEY)
    theirs = found.decode() if isinstance(found, bytes) else mine
    if theirs != mine:
        raise ConfigurationError(
            f"this Redis serves another ledger ({theirs[:8]}…, not {mine[:8]}…): two ledgers would buy the "
            f"same pictures twice. Give every worker the same IMAGECHORD_DATABASE_URL; if the other ledger is gone "
            f"for good, run: redis-cli del {_LEDGER_KEY}"
        )
