"""For a Flask project: the batch pages, the API and the webhooks as a Blueprint.

>>> from tasks.web.flask import imagechord                              # doctest: +SKIP
>>> app.register_blueprint(imagechord, url_prefix="/imagechord")        # doctest: +SKIP

``WEBHOOK_BASE_URL`` is then ``https://your-shop.example/imagechord``. Whoever has IMAGECHORD_WEB_TOKEN may enter; a
project that knows its users puts its own decorator in the token's place: ``blueprint(site(), guard=login_required)``.

Needs Flask 3.1 or newer. An extension that asks every POST for a CSRF token has to leave this one out,
``csrf.exempt(imagechord)``: forms that other sites send are turned away here, and providers have no session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, request
from flask import Response as FlaskResponse

from tasks.web.addresses import respond
from tasks.web.door import enter
from tasks.web.http import Request, Response
from tasks.web.receiver import receive
from tasks.web.site import Site, site

View = Callable[..., Any]


def blueprint(site: Site, guard: Callable[[View], View] | None = None) -> Blueprint:
    """A Blueprint of its own. ``guard`` is a decorator of views that lets in whom it knows."""
    made = Blueprint("imagechord", __name__)

    @made.route("/webhooks/<provider>/<token>", methods=["GET", "POST"])
    def webhook(provider: str, token: str) -> FlaskResponse:
        return _answered(receive(site, provider, token, _asked("")))

    def page(path: str = "") -> FlaskResponse:
        return _answered((respond if guard else enter)(site, _asked(path)))

    guarded = guard(page) if guard else page
    for rule in ("/", "/<path:path>"):
        made.add_url_rule(rule, "site", guarded, methods=["GET", "POST"])
    return made


def _asked(path: str) -> Request:
    """``path`` is what comes after the place that we are registered at."""
    headers = {name.lower(): value for name, value in request.headers}
    whole = request.root_path.rstrip("/") + request.path
    base = whole.removesuffix(path).rstrip("/")
    query = request.query_string.decode("latin-1")
    return Request(request.method, headers, _read, path=f"/{path}", query=query, base=base)


def _answered(response: Response) -> FlaskResponse:
    headers = {"Content-Type": "text/plain; charset=utf-8", **response.headers}
    return FlaskResponse(response.body, response.status, headers)


def _read(most_bytes: int) -> bytes:
    """The body, also when the host has looked at it before us; Flask answers a longer one with 413 itself."""
    request.max_content_length = most_bytes
    return request.get_data()


imagechord = blueprint(site())
