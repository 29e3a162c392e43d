"""Taking secrets out of words before anybody reads them.

Other people's servers put what they were sent into what they answer: a key, a header, a URL with its password. Such
words end in the ledger, logs, task events, Slack and the report, so they are cleaned in one place each way: where an
error of ours is made (:class:`tasks.core.errors.ImagechordError`), and where a worker's log is written.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

HIDDEN = "…"

_SHORTEST = 6
"""What is shorter is no secret, and would tear words apart."""

_LOOKS_SECRET = re.compile(
    r"(?P<scheme>[a-z]://)[^/\s@'\"]*:[^/\s@'\"]+@"  # user:password@ of any URL
    r"|(?P<header>\bauthorization\W{1,4}(?:[a-z]+ )?|\bbearer )[\w.~+/=-]{8,}",
    re.IGNORECASE,
)
_HINTS = ("://", "authorization", "bearer ")
"""One of these is in everything that looks secret."""

_known: frozenset[str] = frozenset()
_pattern = re.compile("(?!)")


def conceal(secrets: Iterable[str]) -> None:
    """From here on :func:`redacted` hides these in this process, as they are and as they travel in URLs and JSON."""
    global _known, _pattern  # noqa: PLW0603 – secrets belong to the process, like its environment
    _known = _known.union(form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret))
    # The longest first: one secret may be a part of another.
    _pattern = re.compile("|".join(re.escape(form) for form in sorted(_known, key=len, reverse=True)) or "(?!)")


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield json.dumps(secret)[1:-1]
    yield base64.b64encode(secret.encode()).decode()  # HTTP's Basic


def redacted(text: str) -> str:
    """The text with every concealed value, every password in a URL and every Authorization header hidden."""
    # Every line of a worker's log comes here, and looking for fixed words is quicker than looking for patterns.
    if any(form in text for form in _known):
        text = _pattern.sub(HIDDEN, text)
    lowered = text.lower()
    return _LOOKS_SECRET.sub(_kept_part, text) if any(hint in lowered for hint in _HINTS) else text


def _kept_part(found: re.Match[str]) -> str:
    scheme = found["scheme"]
    return f"{scheme}{HIDDEN}@" if scheme else f"{found['header']}{HIDDEN}"
