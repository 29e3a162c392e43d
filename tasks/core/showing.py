"""Which published pictures a chat can show: it fetches them itself, and shows whoever reads there where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from tasks.core.addresses import is_public

MAX_PICTURES = 6
"""In one message."""

_FETCHED = (".png", ".jpg", ".jpeg", ".gif")
"""What Slack's image blocks take; of WebP it says that it could not download it (slackapi/node-slack-sdk #1482)."""
_URL_CHARS = 3000
_INSIDE = (".local", ".localhost", ".internal", ".lan", ".corp", ".home.arpa")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture that can be shown, by the key of its row."""

    key: str
    url: str


def showable(pictures: Iterable[Shown]) -> list[Shown]:
    """Those that anybody may see, each picture once: rows may share one."""
    return list({each.url: each for each in reversed(list(pictures)) if is_showable(each.url)}.values())[::-1]


def is_showable(url: str) -> bool:
    """Whether a URL leads to a picture on the public internet, over TLS, and holds nothing that could be a secret.

    A query may be the signature of a private file (a presigned URL): whoever has it has the file.
    """
    if len(url) > _URL_CHARS or not url.isprintable() or set(url) & set("<>|` "):
        return False
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    plain = parts.scheme == "https" and "@" not in parts.netloc and not parts.query and not parts.fragment
    return plain and _is_out_there(host) and parts.path.lower().endswith(_FETCHED)


def _is_out_there(host: str) -> bool:
    """Whether the name of a host can be one of the public internet's."""
    try:
        return is_public(host)
    except ValueError:
        return "." in host and not host.endswith(_INSIDE)


def spread(items: Sequence[_T], most: int) -> list[_T]:
    """At most so many, from the first to the last with equal steps between them."""
    if len(items) <= most:
        return list(items)
    return [items[n * (len(items) - 1) // (most - 1)] for n in range(most)]
