"""The picture that a queue's answer or webhook names. Where it is, a stranger may have said."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from tasks.core.addresses import is_private
from tasks.core.errors import Account, BadBytes
from tasks.pictures.inspect import MAX_BYTES, inspect
from tasks.providers.fetch import fetch_picture

_NAME = re.compile(r"[a-z0-9.-]+")


def json_object(body: bytes | None) -> dict[str, Any] | None:
    """The JSON object of a body; ``None`` for a body that is cut, or no such thing."""
    with suppress(ValueError, RecursionError):
        read = json.loads(body or b"")
        if isinstance(read, dict):
            return read
    return None


def first_url(found: Any) -> str | None:
    """The first URL in the ways in which queues name pictures: a text, ``{"url": …}``, or a list of either."""
    return next(_urls(found), None)


def _urls(found: Any) -> Iterator[str]:
    if isinstance(found, list):
        for one in found:
            yield from _urls(one)
    elif isinstance(found, dict):
        yield from _urls(found.get("url"))
    elif isinstance(found, str) and found:
        yield found


def is_declared(url: str, hosts: Sequence[str], *, allow_private: bool) -> bool:
    """Whether a URL leads to one of these hosts, or below one, over TLS; or nowhere (``data:``).

    ``allow_private`` also allows the addresses of this machine and of private networks, written in digits.
    """
    if url.startswith("data:"):
        return True
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    host = parts.hostname or ""
    if _NAME.fullmatch(host) and any(f".{host}".endswith(f".{known}") for known in hosts):
        return parts.scheme == "https" and parts.username is None
    with suppress(ValueError):
        return allow_private and is_private(host)
    return False


def delivered_picture(url: str, hosts: Sequence[str], *, allow_private: bool, seconds: float) -> bytes:
    """The bytes of a whole picture, from a URL that the queue itself has told.

    Raises Account when its host is none of these, BadBytes when what comes is no whole picture, and what
    ``fetch_picture`` raises.
    """
    if not is_declared(url, hosts, allow_private=allow_private):
        raise Account(f"the picture was made and may not be fetched: it is not at {' or '.join(hosts)}")
    if url.startswith("data:"):
        data = _inline(url)
    else:
        data = fetch_picture(url, allow_private=allow_private, max_bytes=MAX_BYTES, deadline_seconds=seconds)
    inspect(data)
    return data


def _inline(uri: str) -> bytes:
    """The bytes inside a ``data:`` URI. Raises BadBytes."""
    head, _, text = uri.partition(",")
    if not head.endswith(";base64"):
        raise BadBytes("the answer holds a picture in no base64")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise BadBytes("the answer holds a picture in broken base64") from error
