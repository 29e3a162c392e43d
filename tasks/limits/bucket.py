"""The messages that wait in one worker for one limit, oldest first."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from time import monotonic
from typing import Any

import redis

from tasks.limits.limiter import Grant, Limiter, Wait

logger = logging.getLogger(__name__)

_FAILED_CLOSED_SECONDS = 1.0
_SHORTEST_WAIT_SECONDS = 0.001
_LONGEST_BETWEEN_ASKS_SECONDS = 1.0
"""An operator may have changed a limit meanwhile: a long wait is looked at again."""
_FIRST_POLL_SECONDS = 0.25
"""A full ``in_flight`` that other hosts fill is asked again after this, twice this …, a second at most."""
_TRUSTED_SECONDS = 0.1
"""A start that was reserved longer ago than this is used only if there has been no pause since."""


class Bucket:
    """Asks for the oldest message only. Fails closed: without Redis nothing starts."""

    def __init__(self, limiter: Limiter, name: str) -> None:
        self.name = name
        self.waiting: deque[tuple[Any, str]] = deque()
        """Requests, each with the name of the call it is to make."""
        self.interval_seconds = 0.0
        """Between two starts, as last heard; 0.0 without a rate."""
        self.lock = threading.RLock()
        self.timer: Any = None
        self.timer_due = 0.0
        self._limiter = limiter
        self._reserved: Grant | None = None
        self._reserved_at = 0.0
        self._refusal = Wait(0.0, "")
        self._ask_again_at = 0.0
        self._poll_seconds = _FIRST_POLL_SECONDS

    def ask(self) -> Grant | Wait:
        """The right of the oldest message to start now, or how long to wait; there must be one."""
        member = self.waiting[0][1]
        if self._reserved is None and monotonic() >= self._ask_again_at:
            self._take(member)
        if self._reserved is None:
            return self._refusal
        rest = self._reserved_at + self._reserved.wait_seconds - monotonic()
        if rest > 0:
            return Wait(rest, "rate")
        grant, self._reserved = self._reserved, None
        if monotonic() - self._reserved_at > _TRUSTED_SECONDS and not self._still_good(member, grant):
            return self._refusal
        return grant

    def wait_seconds(self) -> float:
        """How long it is not worth asking."""
        reserved = self._reserved
        due = self._ask_again_at if reserved is None else self._reserved_at + reserved.wait_seconds
        return max(_SHORTEST_WAIT_SECONDS, due - monotonic())

    def ask_again(self) -> None:
        """Something has changed: the next look asks Redis."""
        self._ask_again_at = 0.0

    def call_ended(self) -> bool:
        """A call that this worker made is not in flight any more; whether that lets the next one start."""
        if not self.waiting or self._refusal.reason != "in_flight":
            return False
        self.ask_again()
        return True

    def clear_pending(self) -> None:
        """Forget the messages: the broker has them. A start that was reserved for the oldest is given back."""
        with self.lock:
            if self._reserved is not None:
                with contextlib.suppress(redis.RedisError):
                    self._limiter.refund(self.name, self.waiting[0][1], self._reserved)
            self._reserved = None
            self.waiting.clear()

    def _take(self, member: str) -> None:
        try:
            answer, self.interval_seconds = self._limiter.take(self.name, member)
        except redis.RedisError as error:
            self._unreachable(error)
            return
        if isinstance(answer, Grant):
            self._reserved, self._reserved_at = answer, monotonic()
            self._poll_seconds = _FIRST_POLL_SECONDS
        else:
            self._refused(answer)

    def _still_good(self, member: str, grant: Grant) -> bool:
        try:
            paused_seconds = self._limiter.paused_seconds(self.name)
            if paused_seconds:
                self._limiter.refund(self.name, member, grant)
                self._refused(Wait(paused_seconds, "pause"))
        except redis.RedisError as error:
            self._unreachable(error)
            return False
        return not paused_seconds

    def _refused(self, wait: Wait) -> None:
        seconds = min(wait.seconds, _LONGEST_BETWEEN_ASKS_SECONDS)
        if wait.reason == "in_flight":
            seconds, self._poll_seconds = self._poll_seconds, min(2 * self._poll_seconds, 1.0)
        self._refusal, self._ask_again_at = wait, monotonic() + seconds

    def _unreachable(self, error: redis.RedisError) -> None:
        logger.warning("limiter of %s: Redis does not answer, nothing starts: %s", self.name, error)
        self._refused(Wait(_FAILED_CLOSED_SECONDS, "redis"))
