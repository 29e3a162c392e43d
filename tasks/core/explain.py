"""pydantic's findings in our users' words: file, key, value, mend."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

_SIZE_MODES = frozenset({"any", "aspect_ratio", "exact", "list"})
"""pydantic puts the mode of a size rule into the path of what is wrong with it; nobody wrote it there."""


def explain(error: ValidationError, where: str, known: Mapping[str, Any]) -> tuple[str, ...]:
    """One line for each finding. ``where`` is file and table, ``known`` the settings there are (for typing slips)."""
    return tuple(_line(finding, where, known) for finding in error.errors(include_url=False, include_context=False))


def _line(finding: Any, where: str, known: Mapping[str, Any]) -> str:
    location = finding["loc"]
    message = finding["msg"].removeprefix("Value error, ")
    if not location:  # settings that do not fit together
        return f"{where}: {message}"
    if location[0] == "sizes" and location[1:2] and location[1] in _SIZE_MODES:
        location = ("sizes", *location[2:])
    path = ".".join(str(part) for part in location)
    if finding["type"] == "extra_forbidden":
        close = get_close_matches(str(location[-1]), known, n=1)
        return f"{where}: {path} is not a setting; {f'did you mean {close[0]}?' if close else 'remove it'}"
    if finding["type"] == "missing":
        return f"{where}: {path} is missing; add it"
    return f"{where}: {path} = {finding['input']!r}: {message[:1].lower()}{message[1:]}"
