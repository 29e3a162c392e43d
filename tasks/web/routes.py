"""Which address is answered by what."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from re import Pattern

from tasks.web.http import Request, Response
from tasks.web.site import Site

Handler = Callable[..., Response]
"""Called with the site, the request, and what the path's named groups have found."""


@dataclass(frozen=True, slots=True)
class Route:
    """``pattern`` has to match the whole path."""

    method: str
    pattern: Pattern[str]
    handler: Handler


def route(method: str, path: str, handler: Handler) -> Route:
    """``path`` like ``/batches/{batch_id}``: each name stands for one part between slashes."""
    return Route(method, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), handler)


def answer(site: Site, request: Request, routes: tuple[Route, ...]) -> Response:
    """404 where there is nothing, 405 where there is something for another method.

    HEAD is as GET; whoever serves it leaves the body out.
    """
    method = "GET" if request.method == "HEAD" else request.method
    allowed = set()
    for each in routes:
        if found := each.pattern.fullmatch(request.path):
            if each.method == method:
                return each.handler(site, request, **found.groupdict())
            allowed.add(each.method)
    if allowed:
        return Response(405, {"Allow": ", ".join(sorted(allowed))}, b"this is not done here so\n")
    return Response(404, body=b"there is nothing here\n")
