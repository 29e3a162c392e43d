"""The batch pages in a process of their own, as a shop's server has them: ``python -m`` this, with its environment.

Prints its URL. A stand-in for whoever signs in: everybody may look, and forms carry a field of the host's.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable
from http import HTTPStatus
from io import BytesIO
from wsgiref.types import StartResponse, WSGIEnvironment

from tasks.web.http import Request
from tasks.web.pages import PAGES
from tasks.web.routes import answer
from tasks.web.server import addresses, open_server
from tasks.web.site import site

BASE = "/imagechord"
FIELD, TOKEN = "csrf_token", "the-host's"


def serve() -> None:
    """Until it is killed. A form without the host's field is turned away, as the host would."""
    ours = site()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        path = str(environ["PATH_INFO"]).encode("latin-1").decode()
        names = {name.removeprefix("HTTP_").replace("_", "-").lower(): str(environ[name]) for name in environ}
        request = Request(
            environ["REQUEST_METHOD"],
            names,
            BytesIO(body).read,
            path.removeprefix(BASE),
            environ["QUERY_STRING"],
            BASE,
            {FIELD: TOKEN},
        )
        if request.method == "POST" and f"{FIELD}=the-host%27s".encode() not in body:
            start_response("403 Forbidden", [])
            return []
        response = answer(ours, request, PAGES)
        status = HTTPStatus(response.status)
        start_response(f"{status.value} {status.phrase}", list(response.headers.items()))
        return [response.body]

    server = open_server(application, "127.0.0.1", 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # in order, so that what was covered is kept
    print(addresses(server)[0] + BASE, flush=True)
    server.run()


if __name__ == "__main__":
    serve()
