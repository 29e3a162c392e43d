"""The site as a WSGI application, for ``imagechord web`` or any WSGI server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from tasks.web.door import Enter, enter
from tasks.web.http import Request, Response
from tasks.web.receiver import receive
from tasks.web.site import Site

Application = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]

_WEBHOOK = re.compile(r"/webhooks/(?P<provider>[^/]+)/(?P<token>[^/]+)")


def application(site: Site, enter: Enter = enter) -> Application:
    """The whole site: ``/webhooks/{provider}/{token}`` and ``/healthz`` are open, ``enter`` answers the rest or not."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        response = _respond(site, enter, environ)
        status = HTTPStatus(response.status)
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(response.body))}
        start_response(f"{status.value} {status.phrase}", list((headers | dict(response.headers)).items()))
        return [response.body]

    return answer


def _respond(site: Site, enter: Enter, environ: WSGIEnvironment) -> Response:
    path = str(environ.get("PATH_INFO", "")).encode("latin-1").decode("utf-8", "replace")
    if path == "/healthz":
        return Response(200, body=b"ok\n")
    if found := _WEBHOOK.fullmatch(path):
        return receive(site, found["provider"], found["token"], _request(environ, path))
    return enter(site, _request(environ, path))


def _request(environ: WSGIEnvironment, path: str) -> Request:
    names = {name: name.removeprefix("HTTP_") for name in environ if name.startswith("HTTP_")}
    names |= {name: name for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)}
    headers = {plain.replace("_", "-").lower(): str(environ[name]) for name, plain in names.items()}
    return Request(
        environ["REQUEST_METHOD"],
        headers,
        lambda most_bytes: _read(environ, most_bytes),
        path or "/",
        str(environ.get("QUERY_STRING", "")),
        str(environ.get("SCRIPT_NAME", "")).rstrip("/"),
    )


def _read(environ: WSGIEnvironment, most_bytes: int) -> bytes:
    """As far as the server lets us: past the end that a body declares, many servers wait for ever."""
    declared: Any = environ.get("CONTENT_LENGTH")
    if declared:
        most_bytes = min(most_bytes, int(declared))
    elif not environ.get("wsgi.input_terminated"):
        return b""
    body: bytes = environ["wsgi.input"].read(most_bytes)
    return body
