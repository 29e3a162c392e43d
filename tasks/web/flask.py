"""For a Flask project: the batch pages, the API and the webhooks as a Blueprint.

>>> from tasks.web.flask import imagechord                              # doctest: +SKIP
>>> app.register_blueprint(imagechord, url_prefix="/imagechord")        # doctest: +SKIP

``WEBHOOK_BASE_URL`` is then ``https://your-shop.example/imagechord``. Whoever has IMAGECHORD_WEB_TOKEN may enter; a
project that knows its users puts its own decorator in the token's place: ``blueprint(site(), guard=login_required)``.

Needs Flask 3.1 or newer. Where Flask-WTF protects the project's forms, it protects the guarded pages too; what has no
session, webhooks and the token's holders, it leaves alone.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from flask import Blueprint, current_app, request
from flask import Response as FlaskResponse
from werkzeug.datastructures import ImmutableMultiDict

from tasks.web.addresses import respond
from tasks.web.door import enter
from tasks.web.http import Request, Response
from tasks.web.receiver import LARGEST_BODY_BYTES, receive
from tasks.web.site import Site, site

View = Callable[..., Any]

_NO_LIMIT = 1 << 40
"""Each address has its own."""


def blueprint(site: Site, guard: Callable[[View], View] | None = None) -> Blueprint:
    """A Blueprint of its own. ``guard`` is a decorator of views that lets in whom it knows."""
    made = Blueprint("imagechord", __name__)

    @made.route("/webhooks/<provider>/<token>", methods=["GET", "POST"])
    def webhook(provider: str, token: str) -> FlaskResponse:
        return _answered(receive(site, provider, token, _asked("")))

    def guarded(path: str = "") -> FlaskResponse:
        return _answered(respond(site, _asked(path, _csrf_field())))

    def entered(path: str = "") -> FlaskResponse:
        return _answered(enter(site, _asked(path)))

    page = guard(guarded) if guard else entered
    for rule in ("/", "/<path:path>"):
        made.add_url_rule(rule, "site", page, methods=["GET", "POST"])

    @made.url_value_preprocessor  # called before any before_request of the host's
    def prepare(endpoint: str | None, _values: object) -> None:
        view, csrf = current_app.view_functions[str(endpoint)], current_app.extensions.get("csrf")
        if csrf is not None and view in {webhook, entered}:
            csrf.exempt(view)
        _keep_readable()

    return made


def _keep_readable() -> None:
    """A host that looks at forms before us takes them off the connection."""
    if request.mimetype == "multipart/form-data":
        # A file stays on the connection; who sends it has the host's token in a header (X-CSRFToken).
        request.form = ImmutableMultiDict()
    elif request.mimetype == "application/x-www-form-urlencoded":
        request.max_content_length = LARGEST_BODY_BYTES
        request.get_data()


def _csrf_field() -> dict[str, str]:
    """What Flask-WTF wants to see in each form, where the host has it."""
    token = current_app.jinja_env.globals.get("csrf_token")
    return {current_app.config.get("WTF_CSRF_FIELD_NAME", "csrf_token"): token()} if callable(token) else {}


def _asked(path: str, form_fields: dict[str, str] | None = None) -> Request:
    """``path`` is what comes after the place that we are registered at."""
    headers = {name.lower(): value for name, value in request.headers}
    whole = request.root_path.rstrip("/") + request.path
    base = whole.removesuffix(path).rstrip("/")
    query = request.query_string.decode("latin-1")
    return Request(request.method, headers, _reader(), f"/{path}", query, base, form_fields or {})


def _answered(response: Response) -> FlaskResponse:
    return FlaskResponse(response.body, response.status, response.all_headers)


def _reader() -> Callable[[int], bytes]:
    """The body, also when the host has looked at it before us."""
    body: Any = None

    def read(most_bytes: int) -> bytes:
        nonlocal body
        if body is None:
            request.max_content_length = _NO_LIMIT
            body = request.stream
            first: bytes = body.read(most_bytes)
            if first:
                return first
            body = BytesIO(request.get_data())  # what was looked at is kept there
        piece: bytes = body.read(most_bytes)
        return piece

    return read


imagechord = blueprint(site())
