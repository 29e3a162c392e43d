"""Django's requests as ours, and our responses as Django's."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.middleware.csrf import get_token
from django.urls import URLPattern, path, re_path
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from tasks.web.addresses import respond
from tasks.web.django.guard import View, staff_only
from tasks.web.http import Request, Response
from tasks.web.receiver import receive
from tasks.web.site import Site


def addresses(site: Site, guard: Callable[[View], View] = staff_only) -> list[URLPattern]:
    """The patterns for a site of your own making, or behind a guard of your own: a decorator of views.

    Most include :mod:`tasks.web.django.urls`.
    """

    def webhook(request: HttpRequest, provider: str, token: str) -> HttpResponse:
        return _answered(receive(site, provider, token, _asked(request, "")))

    def page(request: HttpRequest, path: str) -> HttpResponse:
        return _answered(respond(site, _asked(request, path, form_fields={"csrfmiddlewaretoken": get_token(request)})))

    return [
        # A provider has no session with us, and no token of it: its own signature is checked.
        path("webhooks/<str:provider>/<str:token>", csrf_exempt(webhook), name="webhook"),
        # Exempt from the middleware, which would read a file before us, and protected by ourselves in its place.
        re_path(r"^(?P<path>.*)$", csrf_exempt(_left_unread(csrf_protect(guard(page)))), name="site"),
    ]


def _left_unread(view: View) -> View:
    """A file that is sent stays on the connection. The token that comes with it is looked for in the headers alone."""

    @wraps(view)
    def unread(request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        if request.content_type == "multipart/form-data":
            request.POST = QueryDict()
        return view(request, *args, **named)

    return unread


def _asked(request: HttpRequest, rest: str, form_fields: dict[str, str] | None = None) -> Request:
    """``rest`` is what of the path comes after the place that we are included at."""
    return Request(
        request.method,
        {name.lower(): value for name, value in request.headers.items()},
        request.read,
        path=f"/{rest}",
        query=request.META.get("QUERY_STRING", ""),
        base=request.path.removesuffix(rest).rstrip("/"),
        form_fields=form_fields or {},
    )


def _answered(response: Response) -> HttpResponse:
    return HttpResponse(response.body, status=response.status, headers=response.all_headers)
