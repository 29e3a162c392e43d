"""The worker's lease: a Celery bootstep that registers the process, beats, and asks for sweeps."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import redis
from celery import bootsteps
from celery.exceptions import WorkerShutdown
from celery.worker import state
from kombu.exceptions import OperationalError

from tasks import cluster
from tasks.celery import app
from tasks.cluster import Membership
from tasks.core import routing
from tasks.core.errors import ConfigurationError, LedgerUnavailable
from tasks.ledger.leases import abandon, beat, register_worker, stop_worker
from tasks.limiting import broker_epoch
from tasks.services import Services, current_services
from tasks.steps.control import show_rates
from tasks.steps.stopping import Stop, answers

logger = logging.getLogger(__name__)

_SWEEP_KEY = "imagechord:sweep"
_REFUSED = 2
"""The exit code of a worker that does not fit in, as of a command with bad settings."""
_PASSING = (LedgerUnavailable, redis.RedisError, OperationalError, OSError)
_START_AGAIN_SECONDS = 1.0
_LAST_WORD_SECONDS = 10.0
"""A thread that still waits for the broker then may be left to the end of the process."""


class Lease(bootsteps.StartStopStep):
    """Starts before the consumer: no task runs without a lease, and none with the wrong ledger."""

    def __init__(self, worker: Any, **_options: Any) -> None:
        super().__init__(worker)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, worker: Any) -> None:
        """Register. Raises WorkerShutdown when the workers of this Redis have another ledger or staging."""
        services = current_services()
        membership = self._enrol(services, worker)
        # Apart: a broker that is silent must not keep the heartbeat from the ledger.
        self._threads = [
            self._thread("heartbeat", partial(_beat, services)),
            self._thread("attendance", partial(_attend, services, membership)),
        ]
        for thread in self._threads:
            thread.start()
        Stop(services).listen()
        # Not in `stop`: that comes while the pool still finishes calls which have been paid. When these have ended,
        # or been killed with the process, so has the lease.
        atexit.register(self._end, services)

    def _enrol(self, services: Services, worker: Any) -> Membership:
        """Register, for as long as it takes: where a machine starts, its broker may come after its workers."""
        while True:
            try:
                base_url = services.settings.webhook_base_url
                membership = cluster.join(services)
                # What this Redis held before it was emptied is lost; what is sent from here on is not.
                broker_epoch(services)
                queues = sorted(worker.app.amqp.queues.consume_from)
                services.worker_id = register_worker(services.ledger, worker.hostname, queues)
            except ConfigurationError as error:
                logger.critical("this worker does not start: %s", error)
                raise WorkerShutdown(_REFUSED) from None
            except _PASSING as error:
                logger.warning("this worker cannot start yet: %s", error)
                state.maybe_shutdown()
                self._stopping.wait(_START_AGAIN_SECONDS)
            else:
                logger.info(
                    "providers %s", f"call {base_url}" if base_url else "are asked: WEBHOOK_BASE_URL is not set"
                )
                return membership

    def _thread(self, name: str, act: Callable[[], None]) -> threading.Thread:
        every_seconds = current_services().settings.preferences.heartbeat_every_seconds
        arguments = (name, act, every_seconds)
        return threading.Thread(target=self._repeat, args=arguments, name=f"imagechord-{name}", daemon=True)

    def _end(self, services: Services) -> None:
        """End the lease: whatever this worker still held may be taken at once.

        Without a broker it could not give its messages back: they are as lost as those of the dead.
        """
        if services.pid != os.getpid() or not self._threads:
            return
        self._stopping.set()
        for thread in self._threads:
            thread.join(_LAST_WORD_SECONDS)
        with contextlib.suppress(redis.RedisError):
            services.meter.tell()
        with contextlib.suppress(LedgerUnavailable):  # it will expire
            end = stop_worker if answers(services) else abandon
            end(services.ledger, services.worker_id)

    def _repeat(self, name: str, act: Callable[[], None], every_seconds: float) -> None:
        while True:
            try:
                act()
            except ConfigurationError as error:
                logger.critical("this worker stops: %s", error)
                os.kill(os.getpid(), signal.SIGTERM)
                return
            except _PASSING as error:
                logger.warning("lease: no %s this time: %s", name, error)
            except Exception:
                logger.exception("lease: unexpected error")
            if self._stopping.wait(every_seconds):
                return


def _beat(services: Services) -> None:
    """Prolong the lease."""
    beat(services.ledger, services.worker_id, services.settings.preferences.lease)


def _attend(services: Services, membership: Membership) -> None:
    """See whom this worker works with, what has become of the broker, and ask for a sweep when one is due."""
    cluster.stay(services, membership)
    broker_epoch(services)
    show_rates(services)
    services.breaker.look()
    services.meter.tell()
    sweep_every_ms = round(services.settings.preferences.sweep_every_seconds * 1000)
    if services.redis.set(_SWEEP_KEY, services.worker_id, nx=True, px=sweep_every_ms):
        app.signature(routing.SWEEP, immutable=True).apply_async(retry=False)
