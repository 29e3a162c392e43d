"""A request and a response, as far as we need them: every server's own are translated into these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """``method`` is in upper case, the names of ``headers`` are in lower case.

    ``read`` takes the body off the connection, at most so many bytes; nothing of it is read before. ``path`` begins
    with a slash and is counted from ``base``, the path that the site is mounted at (empty, or like ``/imagechord``).
    ``query`` is what follows the question mark, as it came. ``form_fields`` are what the host wants to see in each
    form that is sent back, for its protection against forged requests.
    """

    method: str
    headers: Mapping[str, str]
    read: Callable[[int], bytes] = field(repr=False)
    path: str = "/"
    query: str = ""
    base: str = ""
    form_fields: Mapping[str, str] = field(default_factory=dict, repr=False)

    def body(self, most_bytes: int) -> bytes | None:
        """The whole body, to be asked for once; ``None`` for one that is larger, whether or not it says so before."""
        declared = self.headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > most_bytes:
            return None
        body = self.read(most_bytes + 1)
        return None if len(body) > most_bytes else body


@dataclass(frozen=True, slots=True)
class Response:
    """``body`` is plain text, unless ``headers`` have another ``Content-Type``."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Refused(Exception):
    """A request that cannot be answered as it is: ``status`` is 4xx, the text says why and what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
