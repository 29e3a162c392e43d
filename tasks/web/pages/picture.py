"""One picture: what it was made of, what became of it, what it cost, and its file."""

from __future__ import annotations

import logging
from typing import Any

from tasks.core.errors import StepError
from tasks.core.going_on import Way, retried_as, way_on
from tasks.core.selection import RETRIED
from tasks.core.states import State
from tasks.core.views import ImageView
from tasks.ledger import browsing
from tasks.report import look
from tasks.web.http import Response
from tasks.web.pages.visit import NoSuchPage, Visit, find, page

logger = logging.getLogger(__name__)

_A_MINUTE = {"Cache-Control": "private, max-age=60", "X-Content-Type-Options": "nosniff"}
"""The picture of a row may be another one after a retry."""


@page
def picture(visit: Visit, batch_id: str, image_id: str) -> Response:
    """``GET /batches/{batch_id}/images/{image_id}``."""
    ledger, image = visit.services.ledger, _image(visit, batch_id, image_id)
    return visit.render(
        "picture.html",
        batch=find(visit, batch_id),
        image=image,
        image_id=image_id,
        calls=browsing.calls(ledger, int(image_id)),
        revisions=browsing.revisions(ledger, int(image_id)),
        href=_web_address(image),
        **_way(image),
    )


@page
def full(visit: Visit, batch_id: str, image_id: str) -> Response:
    """``GET /batches/{batch_id}/images/{image_id}/full``: the published file, wherever it is kept.

    Where this machine does not reach it, the small one of the ledger.
    """
    image = _image(visit, batch_id, image_id)
    if image.output_key is None:
        raise NoSuchPage
    try:
        return _file(visit.services.public.get(image.output_key))
    except StepError as error:
        logger.warning("%s cannot be read: %s", image.output_key, error)
        if image.thumbnail is None:
            raise NoSuchPage from error
        return _file(image.thumbnail)


@page
def thumbnail(visit: Visit, fingerprint: str) -> Response:
    """``GET /thumbnails/{fingerprint}``."""
    jpeg = browsing.find_thumbnail(visit.services.ledger, fingerprint)
    if jpeg is None:
        raise NoSuchPage
    return _file(jpeg)


def _file(content: bytes) -> Response:
    return Response(
        200, {"Content-Type": look.content_type(content) or "application/octet-stream"} | _A_MINUTE, content
    )


def _image(visit: Visit, batch_id: str, image_id: str) -> ImageView:
    found = None
    if image_id.isdecimal() and len(image_id) < 18:
        found = browsing.find_image(visit.services.ledger, batch_id, int(image_id))
    if found is None:
        raise NoSuchPage
    return found


def _web_address(image: ImageView) -> str | None:
    """Its public URL; not one on the disk of whoever has published it, which browsers do not open from here."""
    url = look.link(image.public_url)
    return None if url is None or url.startswith("file:") else url


def _way(image: ImageView) -> dict[str, Any]:
    """What a person can do about this picture alone (``retry``, ``edit``, ``publish``), and what ``retry`` calls it."""
    error_class = image.error_class or image.state
    way = way_on(image.state, error_class, image.error_step)
    alone = image.state in {*RETRIED, State.CANCELLED} or way is Way.PUBLISH
    return {"way": way.name.lower() if alone else None, "only": retried_as(image.state, error_class)}
