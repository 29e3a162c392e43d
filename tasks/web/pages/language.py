"""In which language somebody reads."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from tasks.report.wording import Language

COOKIE = "imagechord_language"


def chosen(asked: str | None, headers: Mapping[str, str], default: Language) -> Language:
    """What is asked for, else what was asked for before, else the browser's language if it is one of ours."""
    return known(asked) or known(_remembered(headers)) or _preferred(headers.get("accept-language", "")) or default


def known(name: str | None) -> Language | None:
    """``ko`` and ``en``, also with a region: ``ko-KR``."""
    match (name or "").strip().lower().split("-")[0]:
        case "ko":
            return "ko"
        case "en":
            return "en"
        case _:
            return None


def _remembered(headers: Mapping[str, str]) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def _preferred(accepted: str) -> Language | None:
    """The best of ours in ``ko-KR,ko;q=0.9,en;q=0.8``; among equals the first."""
    ranked = sorted((_ranked(each) for each in accepted.split(",")), key=lambda each: -each[0])
    return next((ours for quality, name in ranked if quality > 0 and (ours := known(name))), None)


def _ranked(part: str) -> tuple[float, str]:
    name, _, quality = part.partition(";q=")
    try:
        return (float(quality) if quality else 1.0), name
    except ValueError:
        return 0.0, name
