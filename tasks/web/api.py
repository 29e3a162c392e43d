"""The batches as JSON: what :mod:`tasks.batches` does, over HTTP.

Keys are those that the command line prints with ``--json``; errors are ``{"error": …, "problems": […]}``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any
from urllib.parse import parse_qs, quote

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from tasks import json_shapes, progress
from tasks.core.errors import ConfigurationError, ImagechordError, InputError
from tasks.core.states import State
from tasks.ledger import browsing, holding, reading
from tasks.ledger.reading import BatchRow
from tasks.services import Services
from tasks.web.http import Refused, Request, Response
from tasks.web.routes import Handler, Route, route
from tasks.web.site import Site
from tasks.web.uploads import received

logger = logging.getLogger(__name__)

_MOST = 1000
_FEW = 100
_LONGEST_ORDER_BYTES = 1_000_000
_HEADERS = {"Content-Type": "application/json; charset=utf-8"}
_LATER = {"Retry-After": "10"}
_PASSING = (RedisError, OperationalError, OSError)

SUBMISSIONS = "/api/batches"
"""Where rows are sent to."""


def _json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, _HEADERS | dict(headers or {}), json.dumps(body, ensure_ascii=False).encode() + b"\n")


def _answering(act: Callable[..., Response]) -> Handler:
    """A handler whose troubles are answers too."""

    @wraps(act)
    def handle(site: Site, request: Request, **names: str) -> Response:
        try:
            return act(site.services(), request, **names)
        except Refused as error:
            return _json(error.status, {"error": str(error), "problems": []})
        except InputError as error:
            return _json(422, {"error": str(error), "problems": list(getattr(error, "problems", ()))})
        except RecursionError:
            return _json(422, {"error": "what was sent is nested too deeply", "problems": []})
        except (ImagechordError, *_PASSING) as error:
            logger.warning("%s %s: %s: %s", request.method, request.path, type(error).__name__, error)
            # A setting is for whoever keeps the server to mend; the rest is for the caller to try again.
            words = str(error) if isinstance(error, ConfigurationError) else "the ledger or the broker is away"
            return _json(503, {"error": words, "problems": []}, _LATER)

    return handle


@_answering
def submit(services: Services, request: Request) -> Response:
    """``POST /api/batches``: rows in a file, a form or JSON. 202 at once: a worker plans them, ``status`` tells.

    ``Idempotency-Key`` makes a second request the first one's batch.
    """
    with received(services.settings, request) as (source, options):
        if key := request.headers.get("idempotency-key"):
            options["idempotency_key"] = key
        if "template" not in options:
            raise InputError("say which template the rows are for: template=product_hero")
        batch_id = _batches().submit(source, **options)
    urls = {"status_url": _url(request, "api", "batches", batch_id), "page_url": _url(request, "batches", batch_id)}
    return _json(202, {"id": batch_id, **urls}, {"Location": urls["status_url"]})


@_answering
def listing(services: Services, request: Request) -> Response:
    """``GET /api/batches?limit=&before=``: the newest first; ``next`` is what the following page begins before."""
    limit, before = _number(request, "limit", _FEW, most=_MOST), _query(request).get("before")
    heads = browsing.heads(services.ledger, limit, _place(services, before) if before else None)
    counts = browsing.counts(services.ledger, [head.id for head in heads])
    following = heads[-1].id if len(heads) == limit else None
    return _json(200, {"batches": [_of_head(head, counts.get(head.id, {})) for head in heads], "next": following})


def _place(services: Services, batch_id: str) -> tuple[datetime, str]:
    """Where a batch stands in the list. Raises Refused."""
    found = _found(services, batch_id)
    return browsing.head(services.ledger, found.id).created_at, found.id


def _of_head(head: browsing.BatchHead, counts: Mapping[State, int]) -> dict[str, Any]:
    return {
        "batch": head.id,
        "name": head.name,
        "phase": head.phase,
        "template": head.template,
        "total": head.total,
        "counts": {str(state): images for state, images in counts.items()},
        "budget_usd_micros": head.budget_usd_micros,
        "spent_usd_micros": head.spent_usd_micros,
        "created_at": json_shapes.moment(head.created_at),
    }


@_answering
def status(services: Services, request: Request, batch_id: str) -> Response:  # noqa: ARG001 – as all of these
    """``GET /api/batches/{batch_id}``: what ``imagechord status --json`` prints."""
    found = _found(services, batch_id)
    summary = progress.summarise(services, batch_id)
    going, holds = progress.of_summary(services, summary), holding.holds(services.ledger, batch_id)
    return _json(200, json_shapes.of_status(found, summary, going, holds))


@_answering
def images(services: Services, request: Request, batch_id: str) -> Response:
    """``GET /api/batches/{batch_id}/images?state=&after=&limit=``; ``next`` is what the following page begins after."""
    _found(services, batch_id)
    limit = _number(request, "limit", _FEW, most=_MOST)
    wanted = browsing.Wanted(_state(_query(request).get("state")))
    found = browsing.views(services.ledger, batch_id, limit, wanted, after=_number(request, "after", 0, least=0))
    following = found[-1][0] if len(found) == limit else None
    listed = [{"id": image_id, **json_shapes.of_image(view)} for image_id, view in found]
    return _json(200, {"images": listed, "next": following})


def _order(name: str, *takes: str) -> Handler:
    """``POST /api/batches/{batch_id}/{name}`` with what :mod:`tasks.batches` takes, as a JSON object."""

    @_answering
    def order(services: Services, request: Request, batch_id: str) -> Response:
        _found(services, batch_id)
        done = getattr(_batches(), name)(batch_id, **_said(request, takes))
        return _json(202, {"batch": batch_id, "images": done})

    return order


def _said(request: Request, takes: tuple[str, ...]) -> dict[str, Any]:
    """What an order says; ``null`` is as good as nothing."""
    body = b"".join(request.pieces(_LONGEST_ORDER_BYTES))
    try:
        said = json.loads(body or b"{}", parse_float=str)
    except ValueError as error:
        raise InputError(f"the body is not valid JSON: {error}") from error
    if not isinstance(said, dict) or not said.keys() <= set(takes):
        raise InputError(f"the body must be {'a JSON object with ' + ', '.join(takes) if takes else 'empty'}")
    for name, value in said.items():
        what, fits = _FITTING[name]
        if not (value is None or fits(value)):
            raise InputError(f"{name} is {value!r}; it must be {what}")
    return {name: value for name, value in said.items() if value is not None}


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_FITTING: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "budget_usd": ("an amount in US dollars", lambda value: type(value) in {str, int}),
    "only": ("a state or an error class", _is_text),
    "keys": ("a list of keys", lambda value: isinstance(value, list) and all(map(_is_text, value))),
    "edit": (
        "an object with template, model",
        lambda value: isinstance(value, dict) and all(map(_is_text, value.values())),
    ),
}


def _batches() -> Any:
    from tasks import batches  # Celery is loaded by the first order, not by a host's import of its routes

    return batches


def _found(services: Services, batch_id: str) -> BatchRow:
    """The batch of this very id. Raises Refused."""
    try:
        found = reading.find_batch(services.ledger, batch_id)
    except InputError:
        found = None
    if found is None or found.id != batch_id:
        raise Refused(404, f"there is no batch {batch_id!r}")
    return found


def _url(request: Request, *parts: str) -> str:
    return request.base + "".join(f"/{quote(part, safe='')}" for part in parts)


def _query(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.query).items()}


def _number(request: Request, name: str, default: int, *, least: int = 1, most: int = 2**62) -> int:
    text = _query(request).get(name, str(default))
    if not (text.isascii() and text.isdigit() and least <= int(text[:20]) <= most):
        raise InputError(f"{name} is {text!r}; it must be a whole number from {least} to {most}")
    return int(text)


def _state(text: str | None) -> State | None:
    try:
        return None if text is None else State(text)
    except ValueError:
        raise InputError(f"there is no state {text!r}; there are {', '.join(State)}") from None


_ONE = "/api/batches/{batch_id}"

API: tuple[Route, ...] = (
    route("GET", SUBMISSIONS, listing),
    route("POST", SUBMISSIONS, submit),
    route("GET", _ONE, status),
    route("GET", f"{_ONE}/images", images),
    route("POST", f"{_ONE}/pause", _order("pause")),
    route("POST", f"{_ONE}/cancel", _order("cancel")),
    route("POST", f"{_ONE}/resume", _order("resume", "budget_usd")),
    route("POST", f"{_ONE}/retry", _order("retry", "only", "keys", "edit")),
    route("POST", f"{_ONE}/publish", _order("publish", "keys")),
)
