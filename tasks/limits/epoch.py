"""Since when the broker has its data, and workers their messages: what was sent before, and is in no queue, is lost.

Without an epoch no call starts: what an empty broker does not know is made up for first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import redis

EPOCH_KEY = "imagechord:epoch"


def broker_epoch(client: redis.Redis) -> datetime | None:
    """The moment from which this Redis, and its clients, have what they have now; ``None`` when it came back empty."""
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


def renew_epoch(client: redis.Redis) -> None:
    """A client has lost its connection, and with it the messages that it had in hand: none that is waiting."""
    client.set(EPOCH_KEY, datetime.now(UTC).isoformat(), xx=True)
