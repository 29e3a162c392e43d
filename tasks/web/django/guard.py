"""Who may see and change batches in a Django project: staff with the permission for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse

View = Callable[..., HttpResponse]

_SAFE = ("GET", "HEAD", "OPTIONS")
MAY_LOOK, MAY_CHANGE = "imagechord.view_batch", "imagechord.change_batch"


def staff_only(view: View) -> View:
    """Let staff pass who have the permission: one to look, another to start, stop and pay for pictures.

    Others who are logged in get 403, and so does everybody in a project without ``AuthenticationMiddleware``. Who is
    not is sent to log in (at ``LOGIN_URL``, else in the admin), but for programs: theirs is a 403 as well.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        user = getattr(request, "user", None)
        if user is not None and not user.is_authenticated and _is_page(request):
            from django.contrib.auth.views import redirect_to_login  # only where users are installed

            return redirect_to_login(request.get_full_path(), _login_url())
        needed = MAY_LOOK if request.method in _SAFE else MAY_CHANGE
        if user is None or not (user.is_staff and user.has_perm(needed)):
            raise PermissionDenied
        return view(request, *args, **named)

    return guarded


def _is_page(request: HttpRequest) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


def _login_url() -> str | None:
    """``None`` for what the project says; Django's own default is a page that most projects do not have."""
    if settings.is_overridden("LOGIN_URL"):
        return None
    try:
        return str(reverse("admin:login"))
    except NoReverseMatch:
        return None
