"""Counters that all processes of a cluster add to, kept in Redis: a worker is started anew more often than Redis is."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from time import monotonic
from typing import cast

import redis

from tasks.core import observed
from tasks.core.observed import Observed, Timed

METER_KEY = "imagechord:observed"
_TELL_EVERY_SECONDS = 5.0


class Meter:
    """One per process, for its threads together. Observing takes microseconds and never fails.

    Redis is told every few seconds, in one round trip, by whoever observes something then and by the worker's
    heartbeat; a process that is killed takes its last few seconds with it.
    """

    def __init__(self, client: redis.Redis, clock: Callable[[], float] = monotonic) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._untold: Counter[str] = Counter()
        self._told_at = clock()

    def took(self, timed: Timed, seconds: float) -> None:
        """A step has run for so long."""
        self._add(observed.of_duration(timed, seconds))

    def swept(self) -> None:
        """A sweep was made."""
        self._add(observed.of_sweep())

    def found(self, what: str, number: int) -> None:
        """A sweep has found so many; nothing is no finding."""
        if number:
            self._add(observed.of_finding(what, number))

    def tell(self) -> None:
        """Add to Redis what it does not know yet. Raises redis.RedisError; it is told with the next then."""
        with self._lock:
            told, self._untold = self._untold, Counter()
            self._told_at = self._clock()
        try:
            if told:
                with self._client.pipeline(transaction=True) as pipe:
                    for field, amount in told.items():
                        pipe.hincrby(METER_KEY, field, amount)
                    pipe.execute()
        except redis.RedisError:
            with self._lock:
                self._untold.update(told)
            raise

    def read(self) -> Observed:
        """What all processes have observed, since Redis has its data. Raises redis.RedisError."""
        return observed.read(cast("dict[bytes, bytes]", self._client.hgetall(METER_KEY)))

    def _add(self, amounts: Mapping[str, int]) -> None:
        with self._lock:
            self._untold.update(amounts)
            due = self._clock() - self._told_at >= _TELL_EVERY_SECONDS
        if due:
            try:
                self.tell()
            except redis.RedisError:
                return  # told with the next
