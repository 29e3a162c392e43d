"""The webhooks of providers: verified, taken down and passed on. What is done about them, workers do.

Whoever knows no signed address gets nothing looked up for them, and nobody is told why they were turned away: the log
says it.
"""

from __future__ import annotations

import logging

import redis
from kombu.exceptions import OperationalError

from tasks.core import callbacks
from tasks.core.errors import ConfigurationError, Forged, LedgerUnavailable, StepError
from tasks.web.http import Request, Response
from tasks.web.site import Site

logger = logging.getLogger(__name__)

LARGEST_BODY_BYTES = 1_000_000
"""A webhook holds addresses of pictures, or at most one of them: larger ones are for no job of ours."""

_COME_AGAIN = {"Retry-After": "10"}
_PASSING = (LedgerUnavailable, ConfigurationError, StepError, redis.RedisError, OperationalError, OSError)
"""Trouble on our side, of which the provider knows nothing: it is to call again when that is mended."""


def receive(site: Site, provider: str, token: str, request: Request) -> Response:
    """Answer a provider's call: ``POST …/webhooks/{provider}/{token}``.

    200: taken down, now or before. 404: there is no such provider or job. 405: no POST. 401: not signed as it must
    be, or too late. 413: larger than :data:`LARGEST_BODY_BYTES`. 503: not now, call again.
    """
    if request.method != "POST":
        return Response(405, {"Allow": "POST"})
    try:
        return Response(_take_down(site, provider, token, request))
    except Forged as error:
        logger.warning("a webhook for %r is turned away: %s", provider, error)
        return Response(401)
    except _PASSING as error:
        logger.warning("a webhook of %r has to come again: %s: %s", provider, type(error).__name__, error)
        return Response(503, _COME_AGAIN)


def _take_down(site: Site, provider: str, token: str, request: Request) -> int:
    services, now = site.services(), site.clock()
    # First, since the name alone could have us import any module: only one that we have signed goes on.
    callback = callbacks.read(services.settings.get("WEBHOOK_SECRET") or "", provider, token, now)
    body = request.body(LARGEST_BODY_BYTES)
    if body is None:
        return 413
    authenticate = getattr(services.provider(provider), "authenticate", None)
    if authenticate is None:  # one that answers while the caller waits
        return 404
    authenticate(request.headers, body, now)
    return 200 if site.called(services, callback.image_id, callback.fence, body) else 404
