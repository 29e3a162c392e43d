"""``GET /metrics``: what Prometheus scrapes. The numbers are the ledger's and Redis's, never this process's own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

from tasks.services import Services
from tasks.web.http import Request, Response
from tasks.web.routes import route
from tasks.web.site import Site

_SHARED_SECONDS = 1.0
_REST = 10
"""Times as long as a reading took, nobody reads again: a large ledger is read for a tenth of the time at most."""

Read = Callable[[Services], list[Any]]


class Readings:
    """One reading at a time in this process; who asks meanwhile, or soon after, shares it."""

    def __init__(self, read: Read, clock: Callable[[], float] = monotonic) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._of: Services | None = None
        self._last: list[Any] = []
        self._until = 0.0

    def of(self, services: Services) -> list[Any]:
        """The families of metrics, a second old at most, or as old as ten readings take."""
        with self._lock:
            began = self._clock()
            if self._of is not services or began >= self._until:
                self._last, self._of = self._read(services), services
                ended = self._clock()
                self._until = ended + max(_SHARED_SECONDS, _REST * (ended - began))
            return self._last


def _read(services: Services) -> list[Any]:
    from tasks.web.prometheus import families

    return list(families(services))


_readings = Readings(_read)


def metrics(site: Site, request: Request) -> Response:
    """In the text format, or OpenMetrics for who asks for it. 501 without the package prometheus-client."""
    try:
        from tasks.web.prometheus import written
    except ImportError:
        return Response(501, body=b"metrics need prometheus-client; install imagechord[web]\n")
    content_type, body = written(_readings.of(site.services()), request.headers.get("accept", ""))
    return Response(200, {"Content-Type": content_type, "Cache-Control": "no-store"}, body)


METRICS = (route("GET", "/metrics", metrics),)
