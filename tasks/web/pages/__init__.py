"""The batch pages: HTML from the server, one style sheet, one small script without which everything works too."""

from __future__ import annotations

from tasks.web.pages import actions, batch, files, listing, picture
from tasks.web.routes import Route, route

_ONE = "/batches/{batch_id}"

PAGES: tuple[Route, ...] = (
    route("GET", "/", listing.home),
    route("GET", "/batches", listing.batches),
    route("GET", _ONE, batch.batch),
    route("GET", f"{_ONE}/live", batch.live),
    route("GET", f"{_ONE}/cancel", actions.ask_cancel),
    route("GET", f"{_ONE}/resume", actions.ask_resume),
    route("GET", f"{_ONE}/retry", actions.ask_retry),
    route("POST", f"{_ONE}/pause", actions.pause),
    route("POST", f"{_ONE}/resume", actions.resume),
    route("POST", f"{_ONE}/cancel", actions.cancel),
    route("POST", f"{_ONE}/retry", actions.retry),
    route("POST", f"{_ONE}/publish", actions.publish),
    route("GET", f"{_ONE}/images/{{image_id}}", picture.picture),
    route("GET", f"{_ONE}/images/{{image_id}}/full", picture.full),
    route("GET", "/thumbnails/{fingerprint}", picture.thumbnail),
    route("GET", "/assets/{name}", files.static),
)
