"""For a Flask project: the webhooks as a Blueprint.

>>> from tasks.web.flask import imagechord                              # doctest: +SKIP
>>> app.register_blueprint(imagechord, url_prefix="/imagechord")        # doctest: +SKIP

``WEBHOOK_BASE_URL`` is then ``https://your-shop.example/imagechord``. Needs Flask 3.1 or newer. An extension that asks
every POST for a CSRF token has to leave this one out: ``csrf.exempt(imagechord)``.
"""

from __future__ import annotations

from flask import Blueprint, request
from flask import Response as FlaskResponse

from tasks.web.http import Request
from tasks.web.receiver import receive
from tasks.web.site import Site, site


def blueprint(site: Site) -> Blueprint:
    """A Blueprint of its own for a site of your own making; most want :data:`imagechord`."""
    made = Blueprint("imagechord", __name__)

    @made.post("/webhooks/<provider>/<token>")
    def webhook(provider: str, token: str) -> FlaskResponse:
        headers = {name.lower(): value for name, value in request.headers}
        response = receive(site, provider, token, Request(request.method, headers, _read))
        return FlaskResponse(response.body, response.status, dict(response.headers), mimetype="text/plain")

    return made


def _read(most_bytes: int) -> bytes:
    """The body, also when the host has looked at it before us; Flask answers a longer one with 413 itself."""
    request.max_content_length = most_bytes
    return request.get_data()


imagechord = blueprint(site())
