"""What everything that is served goes by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from tasks.services import Services, current_services


class Called(Protocol):
    """Takes down that a provider has called; see :func:`site`."""

    def __call__(self, services: Services, image_id: int, fence: int, body: bytes) -> bool:
        """Keep what was said and let the image go on; ``False`` for a call that there is nothing of.

        Raises LedgerUnavailable, and the errors of the broker's clients.
        """
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """``services`` is asked at each request, so that a server may fork after it was set up. ``clock`` is in UTC."""

    called: Called
    services: Callable[[], Services] = current_services
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


def site() -> Site:
    """The process's own, from its environment."""
    return Site(_called)


def _called(services: Services, image_id: int, fence: int, body: bytes) -> bool:
    from tasks.jobs import called  # Celery is loaded by the first webhook, not by a host's import of its routes

    return called(services, image_id, fence, body)
