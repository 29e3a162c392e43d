"""The site as a WSGI application, for ``imagechord web`` or any WSGI server."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
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
        headers = response.all_headers | {"Content-Length": str(len(response.body))}
        start_response(f"{status.value} {status.phrase}", list(headers.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]

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
        _reader(environ),
        path or "/",
        str(environ.get("QUERY_STRING", "")),
        str(environ.get("SCRIPT_NAME", "")).rstrip("/"),
    )


def _reader(environ: WSGIEnvironment) -> Callable[[int], bytes]:
    """As far as the server lets us: past the end that a body declares, many servers wait for ever."""
    declared = str(environ.get("CONTENT_LENGTH") or "")
    endless = not declared and environ.get("wsgi.input_terminated")
    left = sys.maxsize if endless else int(declared[:18]) if declared.isdecimal() else 0

    def read(most_bytes: int) -> bytes:
        nonlocal left
        piece: bytes = environ["wsgi.input"].read(min(most_bytes, left))
        left -= len(piece)
        return piece

    return read
