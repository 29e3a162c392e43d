"""The CMS's limits for a process that calls it by itself, beside the workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.core.catalogue import Limits
from tasks.core.errors import ConfigurationError, RateLimited
from tasks.core.limits import CMS
from tasks.core.retry import MAX_COUNTDOWN_SECONDS
from tasks.limits.limiter import Grant, Wait
from tasks.services import Services

_EPOCH_SECONDS = 15.0
"""Workers make up within this time for what an emptied Redis has lost."""
_ASK_AGAIN_SECONDS = 0.05
_MOST_THREADS = 8


class CmsTurns:
    """One at a time for each thread, as often as the CMS may be called.

    With a broker of yours the workers' calls count too; without one nobody else calls, and the pace is kept here.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._limits = next((each.limits for each in services.limited if each.name == CMS), Limits())
        self._lock = threading.Lock()
        self._next_start = 0.0

    @property
    def at_once(self) -> int:
        """So many threads are of use."""
        return min(self._limits.in_flight or _MOST_THREADS, _MOST_THREADS)

    @contextmanager
    def turn(self, member: str) -> Iterator[None]:
        """Wait for the right to one call, and hold it for the block; ``member`` is its name.

        Raises RateLimited when that takes longer than a minute, ConfigurationError when no worker keeps the limits,
        redis.RedisError.
        """
        if self._services.settings.redis_url is None:
            self._pace()
            yield
            return
        limits = self._services.limits
        grant = self._granted(member)
        time.sleep(grant.wait_seconds)
        try:
            yield
        finally:
            if grant.tracked:
                limits.release(CMS, member)

    def _pace(self) -> None:
        per_minute = self._limits.per_minute
        with self._lock:
            start = max(time.monotonic(), self._next_start)
            self._next_start = start + (60.0 / per_minute if per_minute else 0.0)
        time.sleep(max(0.0, start - time.monotonic()))

    def _granted(self, member: str) -> Grant:
        begun_at = time.monotonic()
        while True:
            answer, _interval = self._services.limits.take(CMS, member)
            if isinstance(answer, Grant):
                return answer
            self._refuse_long(answer, time.monotonic() - begun_at)
            time.sleep(max(answer.seconds, _ASK_AGAIN_SECONDS))

    def _refuse_long(self, wait: Wait, waited_seconds: float) -> None:
        if wait.reason == "epoch" and waited_seconds > _EPOCH_SECONDS:
            raise ConfigurationError("no worker of yours keeps the CMS's limits; start one: celery -A tasks worker")
        if wait.seconds > MAX_COUNTDOWN_SECONDS:
            raise RateLimited(f"the CMS has asked everybody to wait; do this again in {wait.seconds:.0f} s")
