"""What the tests of the limiter share. Their own module: a spawned process imports it."""

from __future__ import annotations

import threading
import time
from itertools import count

import redis

from tasks.core.catalogue import Limits
from tasks.core.limits import Limited
from tasks.limits.bucket import Bucket
from tasks.limits.limiter import Grant, Limiter

MODEL = "nano-banana-2"
_numbers = count(1)


def limiter_of(client: redis.Redis, name: str = MODEL, *, longest_seconds: float = 300.0, **limits: float) -> Limiter:
    """A process's limiter, for one limited thing."""
    return Limiter(client, [Limited(name, Limits.model_validate(limits), longest_seconds)])


def member() -> str:
    """Another call."""
    return f"{next(_numbers)}:1"


def bucket_of(limiter: Limiter, messages: int = 1, name: str = MODEL) -> Bucket:
    """A worker's bucket with messages in it."""
    bucket = Bucket(limiter, name)
    bucket.waiting.extend((None, member()) for _ in range(messages))
    return bucket


def starts(bucket: Bucket) -> bool:
    """Start the oldest message if it may."""
    if not isinstance(bucket.ask(), Grant):
        return False
    bucket.waiting.popleft()
    return True


def take_until(url: str, per_minute: float, begin: float, end: float) -> list[float]:
    """Start every call one can between two moments of the wall clock; when each was started."""
    had = []
    pace = threading.Event()
    with redis.Redis.from_url(url) as client:
        bucket = bucket_of(limiter_of(client, per_minute=per_minute), 10_000)
        pace.wait(max(0.0, begin - time.time()))
        while (now := time.time()) < end:
            if starts(bucket):
                had.append(now)
            else:
                pace.wait(min(bucket.wait_seconds(), max(0.0, end - now)))
    return had
