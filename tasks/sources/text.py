"""Text as it should have been typed: NFC, and without what nobody can see."""

from __future__ import annotations

import unicodedata
from datetime import date, time
from decimal import Decimal
from uuid import UUID

_INVISIBLE = dict.fromkeys(
    (
        0x00AD,  # soft hyphen
        0x180E,
        0x200B,  # zero-width space
        0x200E,  # direction marks, as pasted from web pages
        0x200F,
        *range(0x202A, 0x202F),
        0x2060,  # word joiner
        *range(0x2066, 0x206A),
        0xFEFF,  # byte-order mark inside the text
    )
)
_NO_BREAK_SPACES = dict.fromkeys((0x00A0, 0x2007, 0x202F), " ")
_TRANSLATION: dict[int, str | None] = {**_INVISIBLE, **_NO_BREAK_SPACES}

_JOINERS = "\u200c\u200d"
"""They hold emoji and some scripts together, so only the ends are cleaned of them."""


def clean(text: str) -> str:
    """NFC-normalised, without zero-width characters, no-break spaces made plain, trimmed at both ends."""
    if text.isascii():
        return text.strip()
    visible = text.translate(_TRANSLATION).strip()
    while visible and (visible[0] in _JOINERS or visible[-1] in _JOINERS):
        visible = visible.strip(_JOINERS).strip()
    return unicodedata.normalize("NFC", visible)


def as_text(value: object) -> str | None:
    """Write a cell or a Python value as text; ``None`` for what is no single value (a list, a mapping)."""
    match value:
        case None | str():
            return value or ""
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case int() | float() | Decimal() | UUID():
            return str(value)
        case date() | time():
            return value.isoformat()
        case _:
            return None
