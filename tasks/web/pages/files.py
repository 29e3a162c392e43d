"""Style and script of the pages: files of the package, kept by browsers for as long as they do not change."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from tasks.web.http import Request, Response
from tasks.web.site import Site

_FILES = {
    "contact_sheet.css": ("tasks.report", "templates", "text/css"),
    "pages.css": ("tasks.web.pages", "static", "text/css"),
    "icon.svg": ("tasks.web.pages", "static", "image/svg+xml"),
    "pages.js": ("tasks.web.pages", "static", "text/javascript"),
}


@cache
def _content(name: str) -> bytes:
    package, folder, _type = _FILES[name]
    return resources.files(package).joinpath(folder, name).read_bytes()


@cache
def version(name: str) -> str:
    """Another one whenever the file is."""
    return hashlib.blake2b(_content(name), digest_size=6).hexdigest()


def static(site: Site, request: Request, name: str) -> Response:  # noqa: ARG001 – every handler is given these
    """``GET /assets/{name}``."""
    if name not in _FILES:
        return Response(404)
    headers = {
        "Content-Type": f"{_FILES[name][2]}; charset=utf-8",
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(200, headers, _content(name))
