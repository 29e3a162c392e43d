"""A request and a response, as far as we need them: every server's own are translated into these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

_PIECE_BYTES = 1 << 18

_ALWAYS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""With a referrer policy of ``no-referrer`` browsers would not say where a form comes from."""


class Refused(Exception):
    """A request that cannot be answered as it is: ``status`` is 4xx, the text says why and what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """``method`` is in upper case, the names of ``headers`` are in lower case.

    ``read`` takes the body off the connection, at most so many bytes and from where it was left; it gives none at the
    end, and nothing is read before. ``path`` begins with a slash and is counted from ``base``, the path that the site
    is mounted at (empty, or like ``/imagechord``). ``query`` is what follows the question mark, as it came.
    ``form_fields`` are what the host wants to see in each form that is sent back, for its protection against forged
    requests. ``signed_in``: whoever asks has come in by our own login, and may want to go out again.
    """

    method: str
    headers: Mapping[str, str]
    read: Callable[[int], bytes] = field(repr=False)
    path: str = "/"
    query: str = ""
    base: str = ""
    form_fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    signed_in: bool = False

    def body(self, most_bytes: int) -> bytes | None:
        """The whole body, to be asked for once; ``None`` for one that is larger, whether or not it says so before."""
        try:
            return b"".join(self.pieces(most_bytes))
        except Refused:
            return None

    def pieces(self, most_bytes: int) -> Iterator[bytes]:
        """The body bit by bit, to be asked for once. Raises Refused (413) when it is larger."""
        too_large = Refused(413, f"this is more than {most_bytes:,} bytes")
        declared = self.headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > most_bytes:
            raise too_large
        left = most_bytes
        while piece := self.read(min(_PIECE_BYTES, left + 1)):
            left -= len(piece)
            if left < 0:
                raise too_large
            yield piece


@dataclass(frozen=True, slots=True)
class Response:
    """``body`` is plain text that nobody keeps, unless ``headers`` have another ``Content-Type``."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def all_headers(self) -> dict[str, str]:
        """What is sent: its own, and those that keep a browser from more than it is meant to do with it."""
        return _ALWAYS | dict(self.headers)
