"""Celery's token bucket, with its tokens in Redis: one rate for a model over all workers and hosts."""

from __future__ import annotations

import logging
import threading
from importlib.resources import files
from time import monotonic
from typing import Any

import redis
from kombu.utils.limits import TokenBucket

logger = logging.getLogger(__name__)

_TokenBucket: Any = TokenBucket  # the stubs leave out `contents`, `add` and `pop`

_HORIZON_SECONDS = 1.0
_FAILED_CLOSED_SECONDS = 1.0
_SHORTEST_WAIT_SECONDS = 0.001


def rate_key(model: str) -> str:
    """The Redis key of a model's rate."""
    return f"imagechord:rate:{model}"


def pause_key(model: str) -> str:
    """The Redis key that exists while a model is paused."""
    return f"imagechord:pause:{model}"


def pause(client: redis.Redis, model: str, seconds: float) -> None:
    """Stop a model's queue everywhere for ``seconds``; a longer pause that is on already stays."""
    milliseconds = max(1, round(seconds * 1000))
    with client.pipeline(transaction=True) as both:
        both.set(pause_key(model), "1", px=milliseconds, nx=True)
        both.pexpire(pause_key(model), milliseconds, gt=True)
        both.execute()


class ClusterBucket(_TokenBucket):  # type: ignore[misc]
    """Reserves tokens up to a second ahead. Fails closed: without Redis there is no token."""

    def __init__(self, client: redis.Redis, model: str, per_second: float) -> None:
        super().__init__(1.0, capacity=1)
        self.model = model
        self.lock = threading.RLock()
        self.timer: Any = None
        self.set_rate(per_second)
        self._take = client.register_script(files("tasks.limits").joinpath("gcra.lua").read_text("utf-8"))
        self._usable_at: float | None = None
        self._ask_again_at = 0.0

    def set_rate(self, per_second: float) -> None:
        """Change the rate from the next token on; 0 means no limit."""
        self._interval_micros = round(1e6 / per_second) if per_second else 0

    def can_consume(self, tokens: int = 1) -> bool:  # noqa: ARG002 Celery always asks for one
        """Take the token that is due, reserving one when none is."""
        with self.lock:
            now = monotonic()
            if self._usable_at is None and now >= self._ask_again_at:
                self._reserve(now)
            if self._usable_at is None or monotonic() < self._usable_at:
                return False
            self._usable_at = None
            return True

    def _reserve(self, now: float) -> None:
        try:
            granted, wait_micros = self._take(
                keys=[rate_key(self.model), pause_key(self.model)],
                args=[self._interval_micros, round(_HORIZON_SECONDS * 1e6)],
            )
        except redis.RedisError as error:
            logger.warning("limiter of %s: Redis does not answer, nothing is bought: %s", self.model, error)
            self._ask_again_at = now + _FAILED_CLOSED_SECONDS
            return
        if int(granted):
            self._usable_at = now + float(wait_micros) / 1e6
        else:
            self._ask_again_at = now + float(wait_micros) / 1e6

    def expected_time(self, tokens: int = 1) -> float:  # noqa: ARG002 as above
        """Seconds until it is worth asking again."""
        due = self._ask_again_at if self._usable_at is None else self._usable_at
        return max(_SHORTEST_WAIT_SECONDS, due - monotonic())
