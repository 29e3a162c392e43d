"""Since when the broker has its data: what was sent before is lost, and no call starts before it is made up for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import redis

EPOCH_KEY = "imagechord:epoch"


def broker_epoch(client: redis.Redis) -> datetime | None:
    """The moment from which this Redis has the data it has now; ``None`` when it came back empty."""
    found = client.get(EPOCH_KEY)
    return datetime.fromisoformat(found.decode()) if isinstance(found, bytes) else None


def begin_epoch(client: redis.Redis, restore: Callable[[Any], None]) -> datetime:
    """Begin an epoch with what ``restore`` queues on a pipeline, in one transaction; of several, the first counts."""
    now = datetime.now(UTC)

    def begin(pipe: Any) -> None:
        begun = pipe.exists(EPOCH_KEY)
        pipe.multi()
        if not begun:
            restore(pipe)
            pipe.set(EPOCH_KEY, now.isoformat())

    client.transaction(begin, EPOCH_KEY)
    return broker_epoch(client) or now
