"""What a batch tells its webhook: which URLs may be told, how an event looks on the wire, when it is tried again.

Events are written by the ledger (decision 32) and sent by :mod:`tasks.delivery.webhooks`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from tasks.core.addresses import is_private, is_public
from tasks.core.errors import InputError

_ALLOW = "for a server of your own set allow_private_webhook_urls = true in imagechord.toml"
_URL_CHARS = 2000
_MESSAGE_CHARS = 500
_MOST_PROBLEMS = 20
_LONGEST_WAIT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened to a batch, or to one of its images.

    ``image_id``, ``key`` and ``variant`` are ``None`` for a batch. Ids grow: of two events of one image the later has
    the larger. ``details`` is what was so when it happened.
    """

    id: int
    batch_id: str
    type: str
    happened_at: datetime
    details: Mapping[str, Any]
    attempts: int = 0
    image_id: int | None = None
    key: str | None = None
    variant: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with a batch's webhook: ``untold`` events, the last trouble, and whether it was given up."""

    untold: int
    error: str | None
    gave_up: bool


def message_id(ledger_id: str, event_id: int) -> str:
    """The name of an event, the same in every try to tell it. ``ledger_id`` is a UUID."""
    return f"evt_{ledger_id.replace('-', '')}_{event_id}"


def body(event: Event) -> bytes:
    """What is posted: ``{"type", "timestamp", "data"}`` as the Standard Webhooks specification recommends.

    ``timestamp`` is the time of the event in ISO 8601, ``data.sequence`` grows with what happens to one image and with
    what happens to its batch. At most some 10 kB.
    """
    about = _of_batch(event.details) if event.image_id is None else _of_image(event)
    data = {"batch": event.batch_id, "sequence": event.id, **about}
    timestamp = event.happened_at.isoformat(timespec="milliseconds")
    return json.dumps({"type": event.type, "timestamp": timestamp, "data": data}).encode()


def _of_image(event: Event) -> dict[str, Any]:
    details, message = event.details, event.details["error_message"]
    return {
        "sku": event.key,
        "variant": event.variant,
        "state": event.type.partition(".")[2],
        "model": details["model"],
        "url": details["public_url"],
        "cost_usd": _usd(details["cost_usd_micros"]),
        "error_class": details["error_class"],
        "error_step": details["error_step"],
        "error_message": None if message is None else message[:_MESSAGE_CHARS],
    }


def _of_batch(details: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": details["name"],
        "round": details["round"],
        "total": details["total"],
        "counts": details["counts"],
        "skipped_rows": details["skipped"],
        "spent_usd": _usd(details["spent_usd_micros"]),
        "problems": [problem[:_MESSAGE_CHARS] for problem in details["problems"][:_MOST_PROBLEMS]],
    }


def _usd(micros: int) -> float:
    return round(micros / 1_000_000, 6)


def wait_seconds(failures: int, asked_seconds: float | None = None) -> float:
    """How long after the n-th failure in a row nothing is tried: 1, 2, 4 … seconds, or as asked; at most 5 minutes."""
    return min(max(2.0 ** min(failures - 1, 10), asked_seconds or 0.0), _LONGEST_WAIT_SECONDS)


def is_given_up(failures: int, hours: float) -> bool:
    """Whether after so many failures in a row the waits between them have added up to so many hours."""
    return sum(map(wait_seconds, range(1, failures + 1))) > hours * 3600


def may_be_told(address: str, *, secure: bool, allow_private: bool) -> bool:
    """Whether an event may be sent to an IP address: over TLS to the public internet.

    ``allow_private`` also allows this machine and private networks, with or without TLS. Raises ValueError.
    """
    return (secure and is_public(address)) or (allow_private and is_private(address))


def checked_url(url: str, *, allow_private: bool) -> str:
    """The URL of a webhook as it may be told, as far as that shows without looking its name up. Raises InputError."""
    try:
        parts = urlsplit(url)
        host, scheme, _port = parts.hostname or "", parts.scheme, parts.port
    except ValueError as error:
        raise InputError("the webhook's URL cannot be read; write it like https://shop.example.com/webhooks") from error
    if scheme not in {"https", "http"} or not host or not url.isprintable() or set(url) & set(" \\"):
        raise InputError("the webhook is not a URL; write it like https://shop.example.com/webhooks")
    if parts.username is not None:
        raise InputError("the webhook's URL holds a user or a password; what comes from us is known by its signature")
    if len(url) > _URL_CHARS:
        raise InputError(f"the webhook's URL has more than {_URL_CHARS} characters; give it a shorter one")
    if scheme == "http" and not allow_private:
        raise InputError(f"the webhook's URL begins with http, not https; {_ALLOW}")
    if _is_forbidden(host, secure=scheme == "https", allow_private=allow_private):
        raise InputError(f"the webhook's host {host} may not be told; {_ALLOW}")
    return url


def _is_forbidden(host: str, *, secure: bool, allow_private: bool) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return not allow_private and (host == "localhost" or host.endswith(".localhost"))
    return not may_be_told(host, secure=secure, allow_private=allow_private)
