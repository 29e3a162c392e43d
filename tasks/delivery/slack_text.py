"""Text for Slack: strangers' words made harmless, cut to its limits, and read back for a terminal. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

SECTION_CHARS = 3000
FIELD_CHARS = 2000

_LINK = re.compile(r"<([^|>]+)\|([^>]*)>")
_CODE = re.compile(r"(`[^`]*`)")


def escaped(text: str) -> str:
    """``&``, ``<`` and ``>`` as Slack wants them: no mention, link or channel can be made of the text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: str, max_chars: int = 200) -> str:
    """A stranger's text as a code span, on one line: there ``*``, ``_``, ``~`` and ``:emoji:`` stay what they are."""
    line = " ".join(text.replace("`", "'").split()) or "–"
    return f"`{escaped(clipped(line, max_chars))}`"


def clipped(text: str, max_chars: int) -> str:
    """At most ``max_chars`` characters, with an ellipsis where something is missing."""
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"


def as_text(message: dict[str, Any]) -> str:
    """The same message for a terminal or a log: one line for each line that Slack shows, an empty one for a rule."""
    lines = [line for block in message.get("blocks", []) for line in _lines(block)]
    return "\n".join(lines or [_plain(message.get("text", ""))])


def _lines(block: dict[str, Any]) -> Iterator[str]:
    if block["type"] == "divider":
        yield ""
    texts = [block["text"]] if "text" in block else []
    for text in [*texts, *block.get("fields", []), *block.get("elements", [])]:
        plain = text["text"] if text["type"] == "plain_text" else _plain(text["text"])
        if text in block.get("fields", []):
            plain = plain.replace("\n", ": ", 1)  # a field is a caption over a value
        yield from plain.splitlines()


def _plain(mrkdwn: str) -> str:
    """Take the marks out, but not those inside of code spans, which are strangers' characters."""
    parts = _CODE.split(mrkdwn)
    return unescape("".join(_unmarked(part) if index % 2 == 0 else part[1:-1] for index, part in enumerate(parts)))


def _unmarked(text: str) -> str:
    return _LINK.sub(r"\2: \1", text).replace("*", "")
