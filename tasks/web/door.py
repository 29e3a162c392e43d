"""Who may enter a site that no host keeps: whoever has IMAGECHORD_WEB_TOKEN.

Programs send it with each request (``Authorization: Bearer``); people type it once, and a signed cookie lets them in
for two weeks. Another token shuts all of them out.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote

from tasks.core.errors import ConfigurationError
from tasks.web.addresses import respond
from tasks.web.api import SUBMISSIONS
from tasks.web.http import Request, Response
from tasks.web.pages.visit import Visit, page
from tasks.web.receiver import LARGEST_BODY_BYTES
from tasks.web.site import Site
from tasks.web.uploads import most_bytes_of_rows

SHORTEST_TOKEN = 16
COOKIE = "imagechord_visitor"

_TOKEN = "IMAGECHORD_WEB_TOKEN"  # noqa: S105 – its name
_UNTIL = re.compile(r"[0-9]{1,12}")
_VISIT_SECONDS = 14 * 24 * 3600
_LOGIN, _LOGOUT = "/login", "/logout"
_OPEN = "/assets/"
"""The login page's own style sheet."""

Enter = Callable[[Site, Request], Response]
"""Answers a request, or turns it away."""


def require_token(token: str | None) -> str:
    """A token that can be relied on. Raises ConfigurationError."""
    if token is None or len(token) < SHORTEST_TOKEN:
        raise ConfigurationError(
            f"{_TOKEN} has to be set, to {SHORTEST_TOKEN} characters or more: who has it sees the batches, and may "
            "start and stop them. Put what 'openssl rand -hex 32' says into .env"
        )
    return token


def enter(site: Site, request: Request) -> Response:
    """Answer those who have the token; the others are asked for it. Without one nobody comes in."""
    try:
        token = require_token(site.services().settings.get(_TOKEN))
    except ConfigurationError as error:
        return Response(503, body=f"{error}\n".encode())
    if request.path == _LOGIN:
        return _login(site, request, token=token, now=site.clock())
    if request.path == _LOGOUT and request.method == "POST":
        return Response(303, {"Location": f"{request.base}{_LOGIN}", "Set-Cookie": _cookie(request, "", 0)})
    if request.path.startswith(_OPEN) or _has_token(request.headers, token):
        return respond(site, request)
    if _has_cookie(request.headers, token, site.clock()):
        return respond(site, replace(request, signed_in=True))
    return _sent_to_login(request)


def _sent_to_login(request: Request) -> Response:
    """People are asked for the token, programs are told where it goes."""
    if request.method in {"GET", "HEAD"} and "text/html" in request.headers.get("accept", ""):
        asked = request.path + (f"?{request.query}" if request.query else "")
        return Response(303, {"Location": f"{request.base}{_LOGIN}?next={quote(asked, safe='')}"})
    return Response(401, {"WWW-Authenticate": "Bearer"}, b"send the token: Authorization: Bearer ...\n")


def most_bytes(site: Site) -> Callable[[str, Mapping[str, str]], int]:
    """How long a body may be, by path and headers: a server need not collect for strangers what is turned away."""

    def most(path: str, headers: Mapping[str, str]) -> int:
        settings = site.services().settings
        token = settings.get(_TOKEN)
        if path != SUBMISSIONS or not token:
            return LARGEST_BODY_BYTES
        known = _has_token(headers, token) or _has_cookie(headers, token, site.clock())
        return most_bytes_of_rows(settings) if known else LARGEST_BODY_BYTES

    return most


def _has_token(headers: Mapping[str, str], token: str) -> bool:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and _same(given.strip(), token)


def _has_cookie(headers: Mapping[str, str], token: str, now: datetime) -> bool:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return False
    until, _, signature = found.value.partition(".") if found else ("", "", "")
    return (
        _UNTIL.fullmatch(until) is not None
        and int(until) > now.timestamp()
        and _same(signature, _signature(token, until))
    )


@page
def _login(visit: Visit, token: str, now: datetime) -> Response:
    """The page that asks, and what it sends."""
    following = _ours(visit.query.get("next", "/"))
    if visit.request.method != "POST":
        return visit.render("login.html", following=following, wrong=False)
    if not _same(visit.form.get("token", "").strip(), token):
        return visit.render("login.html", 401, following=following, wrong=True)
    until = str(int(now.timestamp()) + _VISIT_SECONDS)
    cookie = _cookie(visit.request, f"{until}.{_signature(token, until)}", _VISIT_SECONDS)
    return Response(303, {"Location": visit.request.base + following, "Set-Cookie": cookie})


def _ours(path: str) -> str:
    """An address of ours; where it could lead elsewhere, the first page."""
    return path if path.startswith("/") and path[1:2] not in {"/", "\\"} and path.isprintable() else "/"


def _cookie(request: Request, value: str, seconds: int) -> str:
    # A browser says with each form where it comes from; a proxy's header need not reach us.
    secure = "; Secure" if request.headers.get("origin", "").startswith("https://") else ""
    # Lax: who follows a link from Slack is still known, and no other site's form comes with it.
    return f"{COOKIE}={value}; Path={request.base or '/'}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


def _signature(token: str, until: str) -> str:
    return hmac.new(token.encode(), f"imagechord visitor {until}".encode(), hashlib.sha256).hexdigest()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))
