"""Asking for a batch's webhook to be told: whoever has something to tell does, and the sweep what was overlooked."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import monotonic

from tasks.celery import app
from tasks.core import routing
from tasks.ledger.events import has_webhook
from tasks.services import Services

_EVERY_SECONDS = 1.0
_ASKED_KEY = "imagechord:events-asked:{}"


class Occasions:
    """When the end of an image is one to ask, in this process, for its threads together: once a second and batch."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._next: dict[str, float] = {}

    def is_one(self, batch_id: str, has_webhook: Callable[[], bool]) -> bool:
        """Whether this end is. ``has_webhook`` is asked once: most batches have none."""
        now, following = self._clock(), self._next.get(batch_id)
        if following is None and not has_webhook():
            self._next[batch_id] = inf
            return False
        if following is not None and now < following:
            return False
        self._next[batch_id] = now + _EVERY_SECONDS
        return True


_occasions = Occasions()


def ask_now_and_then(services: Services, batch_id: str) -> None:
    """Ask, unless any process has within the last second: cheap enough for the end of every image."""
    if _occasions.is_one(batch_id, lambda: has_webhook(services.ledger, batch_id)):
        asked = _ASKED_KEY.format(batch_id)
        if services.redis.set(asked, services.worker_id, nx=True, px=round(_EVERY_SECONDS * 1000)):
            ask(batch_id)


def ask(batch_id: str) -> None:
    """Ask for all that is untold to be told; harmless when there is nothing, or somebody is at it."""
    app.signature(routing.SEND_EVENTS, args=(batch_id,), immutable=True).apply_async()
