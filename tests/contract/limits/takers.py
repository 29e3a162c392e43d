"""What other processes do with a bucket. Their own module: a spawned process imports it."""

from __future__ import annotations

import threading
import time

import redis

from tasks.limits.bucket import ClusterBucket


def take_until(url: str, model: str, per_second: float, begin: float, end: float) -> list[float]:
    """Take every token one can get between two moments of the wall clock; when each was had."""
    had = []
    pace = threading.Event()
    with redis.Redis.from_url(url) as client:
        bucket = ClusterBucket(client, model, per_second)
        pace.wait(max(0.0, begin - time.time()))
        while (now := time.time()) < end:
            if bucket.can_consume():
                had.append(now)
            else:
                pace.wait(min(bucket.expected_time(), max(0.0, end - now)))
    return had
