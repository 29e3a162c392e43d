"""One request for a page: who asks for what, in which language, and how the answer is made."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import cached_property, lru_cache, wraps
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

import jinja2

from tasks.core.errors import ConfigurationError, ImagechordError, InputError
from tasks.core.money import format_usd
from tasks.ledger import browsing
from tasks.ledger.browsing import BatchHead
from tasks.report import look
from tasks.report import wording as report_wording
from tasks.report.wording import Language
from tasks.services import Services
from tasks.web.http import Request, Response
from tasks.web.pages import files, wording
from tasks.web.pages.language import COOKIE, chosen, known
from tasks.web.routes import Handler
from tasks.web.site import Site

logger = logging.getLogger(__name__)

_LARGEST_FORM_BYTES = 65_536
_HTML = {
    "Content-Type": "text/html; charset=utf-8",
    # What a page shows is escaped; should something slip through, it can load and run nothing.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
    "Vary": "Accept-Language, Cookie",
}


class NoSuchPage(Exception):
    """There is nothing at this address."""


@dataclass(frozen=True)
class Visit:
    """A request, with what its answer is made from."""

    services: Services
    request: Request

    @cached_property
    def query(self) -> Mapping[str, str]:
        """The first value of each name."""
        return {name: values[0] for name, values in parse_qs(self.request.query).items()}

    @cached_property
    def form(self) -> Mapping[str, str]:
        """What was filled in. Raises InputError for more than a form holds."""
        body = self.request.body(_LARGEST_FORM_BYTES)
        if body is None:
            raise InputError(f"a form of more than {_LARGEST_FORM_BYTES:,} bytes")
        return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}

    @cached_property
    def language(self) -> Language:
        """Asked for, chosen before, the browser's, or the installation's."""
        return chosen(self.query.get("lang"), self.request.headers, self.services.settings.preferences.language)

    @cached_property
    def zone(self) -> tzinfo:
        """The installation's time zone."""
        return look.zone(self.services.settings.preferences.timezone)

    def url(self, *parts: object, **query: object) -> str:
        """An address of ours; each part is one between slashes."""
        path = "".join(f"/{quote(str(part), safe='')}" for part in parts)
        asked = urlencode({name: value for name, value in query.items() if value not in {None, ""}})
        return self.request.base + path + (f"?{asked}" if asked else "")

    def here(self, language: str) -> str:
        """This page in another language; where that was a form, the list of batches."""
        if self.request.method != "GET":
            return self.url("batches", lang=language)
        asked = {name: value for name, value in self.query.items() if name not in {"noted", "images"}}
        return f"{self.request.base}{quote(self.request.path)}?{urlencode(asked | {'lang': language})}"

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page. One that has not changed since it was last asked for is not sent again."""
        body = _environment().get_template(template).render(self._shared() | values).encode("utf-8", "replace")
        headers = _HTML | self._remembered()
        if status != 200:
            return Response(status, headers, body)
        tag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        headers["ETag"] = tag
        unchanged = self.request.headers.get("if-none-match") == tag
        return Response(304, headers) if unchanged else Response(200, headers, body)

    def redirect(self, *parts: object, **query: object) -> Response:
        """See there, with a GET."""
        return Response(303, {"Location": self.url(*parts, **query)})

    def _remembered(self) -> dict[str, str]:
        """A language that was asked for is kept in a cookie."""
        asked = known(self.query.get("lang"))
        path = self.request.base or "/"
        return {"Set-Cookie": f"{COOKIE}={asked}; Path={path}; Max-Age=31536000; SameSite=Lax"} if asked else {}

    def _shared(self) -> dict[str, Any]:
        language = self.language
        return {
            "url": self.url,
            "here": self.here,
            "asset": lambda name: self.url("assets", name, v=files.version(name)),
            "language": language,
            "words": wording.words(language),
            "state_labels": report_wording.state_labels(language),
            "class_labels": report_wording.class_labels(language),
            "step_labels": wording.step_labels(language),
            "stand_labels": wording.stand_labels(language),
            "mends": report_wording.mends(language),
            "moment": lambda moment: look.moment(moment, self.zone),
            "form_fields": self.request.form_fields,
            "signed_in": self.request.signed_in,
        }


def find(visit: Visit, batch_id: str) -> BatchHead:
    """The batch of this very id. Raises NoSuchPage."""
    try:
        return browsing.head(visit.services.ledger, batch_id)
    except KeyError:
        raise NoSuchPage from None


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    made = look.environment("tasks.web.pages", "tasks.report")
    made.filters |= {"count": "{:,}".format, "usd": format_usd}
    return made


def page(answer: Callable[..., Response]) -> Handler:
    """A handler that is given a :class:`Visit`; what goes wrong becomes a page too."""

    @wraps(answer)
    def handle(site: Site, request: Request, **names: str) -> Response:
        try:
            visit = Visit(site.services(), request)
            return _answered(answer, visit, names)
        except ImagechordError as error:  # no ledger, no settings
            logger.warning("%s %s: %s: %s", request.method, request.path, type(error).__name__, error)
            return Response(503, {"Retry-After": "10"}, f"{error}\n".encode())

    return handle


def _answered(answer: Callable[..., Response], visit: Visit, names: Mapping[str, str]) -> Response:
    try:
        return answer(visit, **names)
    except NoSuchPage:
        return visit.render("problem.html", 404, title="not_found", message="", details=())
    except (InputError, ConfigurationError) as error:
        if visit.request.method == "GET":
            raise
        details = getattr(error, "problems", ())
        return visit.render("problem.html", 409, title="not_done", message=str(error), details=details)
