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
