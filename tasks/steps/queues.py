"""Which queues a worker fetches from: none whose messages it could not use soon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from kombu.utils.scheduling import round_robin_cycle

_RoundRobin: Any = round_robin_cycle


def _always(_queue: str) -> bool:
    return True


class OpenQueues(_RoundRobin):  # type: ignore[misc]
    """Kombu's round robin, without the queues that the consumer has enough of: others may be idle.

    Kombu makes one for each channel and asks it before each BRPOP, so the consumer is asked through the class.
    """

    is_open: ClassVar[Callable[..., bool]] = staticmethod(_always)

    def consume(self, n: int) -> list[str]:
        """The queues of the next BRPOP."""
        return [queue for queue in super().consume(n) if self.is_open(queue)]


class ShortPolls:
    """A connection on which nobody waits for long.

    A worker without an event loop (gevent) waits two seconds at a time in ``drain_events``, also when it waits for
    nothing because its pool is full; it would see so late that a slot has become free.
    """

    def __init__(self, connection: Any, longest_seconds: float) -> None:
        self._connection = connection
        self._longest_seconds = longest_seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def drain_events(self, timeout: float, **options: Any) -> Any:
        """Kombu's, with a shorter timeout."""
        return self._connection.drain_events(timeout=min(timeout, self._longest_seconds), **options)
