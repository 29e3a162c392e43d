"""Django's requests as ours, and our responses as Django's."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt

from tasks.web.http import Request
from tasks.web.receiver import receive
from tasks.web.site import Site


def addresses(site: Site) -> list[URLPattern]:
    """The patterns for a site of your own making; most include :mod:`tasks.web.django.urls`."""

    def webhook(request: HttpRequest, provider: str, token: str) -> HttpResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        response = receive(site, provider, token, Request(request.method, headers, request.read))
        return HttpResponse(response.body, "text/plain", response.status, headers=dict(response.headers))

    # A provider has no session with us, and no token of it: its own signature is checked.
    return [path("webhooks/<str:provider>/<str:token>", csrf_exempt(webhook), name="webhook")]
