"""Since when the broker has its data: what was sent before is lost."""

from __future__ import annotations

from datetime import UTC, datetime

import redis

_KEY = "imagechord:epoch"


def broker_epoch(client: redis.Redis) -> datetime:
    """The moment this Redis was first seen with the data it has now; a Redis that came back empty begins anew."""
    now = datetime.now(UTC)
    if client.set(_KEY, now.isoformat(), nx=True):
        return now
    found = client.get(_KEY)
    return datetime.fromisoformat(found.decode()) if isinstance(found, bytes) else now
