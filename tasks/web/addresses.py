"""Everything that the site answers, but webhooks: the pages and the API."""

from __future__ import annotations

from urllib.parse import urlsplit

from tasks.web.api import API
from tasks.web.http import Request, Response
from tasks.web.metrics import METRICS
from tasks.web.pages import PAGES
from tasks.web.routes import Route, answer
from tasks.web.site import Site

ROUTES: tuple[Route, ...] = (*PAGES, *API, *METRICS)

_SAFE = {"GET", "HEAD", "OPTIONS"}


def respond(site: Site, request: Request) -> Response:
    """Answer whoever may ask; 403 for a form that another site has sent with this visitor's cookies."""
    if request.method not in _SAFE and _comes_from_elsewhere(request):
        return Response(403, body=b"this was sent by another site\n")
    return answer(site, request, ROUTES)


def _comes_from_elsewhere(request: Request) -> bool:
    """As browsers tell it; programs tell nothing, and have no cookies that they do not know of."""
    told = request.headers.get("sec-fetch-site")
    if told is not None:
        return told not in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")
