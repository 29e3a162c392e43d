"""An end for a whole call over httpx, whose own time-outs limit each silence only.

A gateway that keeps a connection alive with a blank now and then, or a server that drips its answer, would hold the
caller for ever. So the call's connection is shut when its time is up, whatever is being waited for.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self


class Deadline:
    """Ends the call that the current thread makes inside ``with``, ``seconds`` after this was made.

    It works for clients that have :func:`watch` as a request hook and keep no connections for later calls, and for
    what takes time once there is a connection: looking the name up and connecting have time limits of their own.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    @property
    def left_seconds(self) -> float:
        """What is left of the time, never negative."""
        return max(self._until - time.monotonic(), 0.0)

    def __enter__(self) -> Self:
        _calls.deadline = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        _calls.deadline = None

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """What httpx's transport tells of the call (its ``trace`` extension): remember the latest connection."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
            if not self.left_seconds:
                self._cut()

    def _cut(self) -> None:
        with self._lock, suppress(OSError):
            if self._socket is not None:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # not TLS's own, which is not for two threads


_calls = threading.local()


def watch(request: Any) -> None:
    """For the ``request`` hooks of an httpx client: let the thread's deadline, if it has one, see the connection."""
    deadline: Deadline | None = getattr(_calls, "deadline", None)
    if deadline is not None:
        request.extensions["trace"] = deadline.trace
