"""How a worker ends: in order when it is told to, and at once when it is told again or takes too long."""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from types import FrameType
from typing import Any

import redis
from billiard import active_children

from tasks.core.errors import LedgerUnavailable
from tasks.ledger import leases
from tasks.services import AFTER_CALL_SECONDS, Services

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_STRANDED_SECONDS = 10.0
"""So long a worker that is to stop waits for a broker that is away, when no call of its own is in flight."""
_RELEASE_SECONDS = 2.0
_EXIT_CODE = 1
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Stop:
    """Celery's own warm shutdown at the first TERM or INT; the end at the second, at QUIT, or when its time is up.

    Celery has no such end on threads: a second TERM does nothing, and its cold shutdown waits for the calls too.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._asked = False
        self._celerys: dict[int, Callable[[int, FrameType | None], Any]] = {}
        # Its `put` may be interrupted by a signal whose handler puts as well; an Event or a Queue could deadlock.
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()

    def listen(self) -> None:
        """Take over the signals. Does nothing where they are somebody else's: in a worker that is no program."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            celerys = signal.getsignal(number)
            if callable(celerys):
                self._celerys[number] = celerys
                signal.signal(number, self._on_signal)
        threading.Thread(target=self._watch, name="imagechord-stop", daemon=True).start()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.put(number)
        if os.getpid() != self._services.pid or self._asked or number == signal.SIGQUIT:
            return
        self._asked = True
        self._celerys[number](number, frame)
        for each in self._celerys:  # Celery has just put another in place of its own
            signal.signal(each, self._on_signal)

    def _watch(self) -> None:
        first = self._signals.get()
        self._leave("it was told to quit" if first == signal.SIGQUIT else self._wait_for_the_end())

    def _wait_for_the_end(self) -> str:
        """Give the calls in flight their time; returns why the process is still here when that is over."""
        asked_at = useful_at = monotonic()
        longest_seconds = self._longest_seconds()
        while monotonic() - asked_at < longest_seconds:
            with suppress(queue.Empty):
                self._signals.get(timeout=_LOOK_SECONDS)
                return "it was told a second time"
            if self._may_still_finish():
                useful_at = monotonic()
            elif monotonic() - useful_at >= _STRANDED_SECONDS:
                return "the broker does not answer, and no call is in flight"
        return f"it is not done after {longest_seconds:.0f} s"

    def _longest_seconds(self) -> float:
        settings = self._services.settings
        if settings.preferences.stop_within_seconds:
            return settings.preferences.stop_within_seconds
        return settings.catalogue.longest_deadline_seconds + AFTER_CALL_SECONDS

    def _may_still_finish(self) -> bool:
        return answers(self._services) or self._has_claims()

    def _has_claims(self) -> bool:
        try:
            return leases.has_claims(self._services.ledger, self._services.worker_id)
        except LedgerUnavailable:
            return True

    def _leave(self, why: str) -> None:
        """End the process, with the claims released if the ledger is quick enough; its children too."""
        logger.warning("stopping at once, %s; of the calls in flight it is not known whether they were paid", why)
        release = threading.Thread(target=self._release, daemon=True)
        release.start()
        release.join(_RELEASE_SECONDS)
        for child in active_children():
            with suppress(ProcessLookupError):
                os.kill(int(child.pid or 0), signal.SIGKILL)
        os._exit(_EXIT_CODE)

    def _release(self) -> None:
        try:
            leases.abandon(self._services.ledger, self._services.worker_id)
        except LedgerUnavailable as error:
            logger.warning("the claims are free when the lease has run out: %s", error)


def answers(services: Services) -> bool:
    """Whether the broker does."""
    try:
        return bool(services.redis.ping())
    except redis.RedisError:
        return False
