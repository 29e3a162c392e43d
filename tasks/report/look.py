"""What the contact sheet and the batch pages draw alike: Jinja's environment, the tones of states, links, moments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import jinja2
from markupsafe import Markup, escape

from tasks.core.errors import ConfigurationError
from tasks.core.money import format_usd
from tasks.core.states import State
from tasks.core.views import attention_rank

SKIPPED = "skipped"
_LINKABLE_SCHEMES = frozenset({"http", "https", "file"})
_MAGIC_NUMBERS: Mapping[bytes, str] = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


def environment(*packages: str) -> jinja2.Environment:
    """Templates of these packages' folders ``templates``; whatever they are given is escaped."""
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"usd": format_usd, "link": link, "tone": tone, "commands": commands}
    return made


def zone(name: str) -> tzinfo:
    """A time zone by its name. Raises ConfigurationError for one that is not known."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"timezone {name!r} is not known here. Write it like 'Asia/Seoul'; "
            "on a system without a time zone database, install the Python package 'tzdata'."
        ) from error


def moment(moment: datetime | None, zone: tzinfo) -> str:
    """``2026-11-22 18:05:00 KST``; empty for what has not happened."""
    return "" if moment is None else moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def tone(state: str) -> str:
    """The colour of a state: bad, wait, off, busy, good, or skip."""
    if state == SKIPPED:
        return "skip"
    return ("bad", "wait", "off", "busy", "good")[attention_rank(State(state))]


@dataclass(frozen=True, slots=True)
class Share:
    """One part of a bar; ``percent`` of all entries, which begins at ``start_percent``."""

    tone: str
    count: int
    percent: float
    start_percent: float = 0.0


def shares(counts: Mapping[State, int], skipped_rows: int = 0, rest: Collection[State] = ()) -> list[Share]:
    """The bar of a batch, from published to skipped; empty parts are left out, and images in ``rest`` fill its end."""
    tones = Counter({"skip": skipped_rows})
    for state, count in counts.items():
        tones["rest" if state in rest else tone(state)] += count
    total, before, parts = tones.total() or 1, 0, []
    for each in ("good", "busy", "wait", "bad", "off", "skip"):
        if tones[each]:
            parts.append(Share(each, tones[each], 100 * tones[each] / total, 100 * before / total))
            before += tones[each]
    return parts


def link(url: str | None) -> str | None:
    """The URL if a reader may be sent there; ``javascript:`` and its kind stay text."""
    if not url:
        return None
    with suppress(ValueError):
        if urlsplit(url).scheme.lower() in _LINKABLE_SCHEMES:
            return url
    return None


def commands(text: str) -> Markup:
    """The text with what stands in backticks as ``<code>``; all of it escaped."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))


def content_type(picture: bytes) -> str | None:
    """What kind of picture file this is, by its first bytes; ``None`` for no kind that is shown."""
    return next((kind for magic, kind in _MAGIC_NUMBERS.items() if picture.startswith(magic)), None)
