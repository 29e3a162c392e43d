"""The contact sheet: every picture of a batch on self-contained HTML pages, what needs a person first.

A page needs no network: thumbnails are data URIs, style and script are inside, and a content security policy
lets nothing else run or load, so even a value that slipped past the escaping could do no harm.
"""

from __future__ import annotations

import hashlib
import math
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from importlib import resources
from itertools import chain, islice
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from tasks.core.states import State
from tasks.core.summary import BatchSummary
from tasks.core.views import ImageView, SkippedRow, attention_rank
from tasks.report import look, wording
from tasks.report.wording import Language

Entry = ImageView | SkippedRow

_NEIGHBOURS = 2
"""How many pages on each side of the current one the navigation links to."""


def write_contact_sheet(  # noqa: PLR0913 -- one call draws the whole sheet; its options are keyword-only
    path: Path,
    summary: BatchSummary,
    images: Iterable[ImageView],
    skipped: Iterable[SkippedRow],
    *,
    language: Language,
    timezone: str,
    page_size: int = 1000,
) -> list[Path]:
    """Write ``path`` and, beyond ``page_size`` entries, ``<stem>-2.html`` and so on beside it; return them all.

    ``images`` are taken in the order in which they come, one page in memory at a time: give them sorted by
    :func:`tasks.core.views.attention_rank`, then line. (Each page is sorted here again, so up to ``page_size``
    entries any order will do.) Skipped rows come first. Pages left over from a longer sheet are removed; each
    page is replaced as a whole, so that a reader never sees half of one.

    Raises ConfigurationError when ``timezone`` is unknown.
    """
    shared = _shared_context(summary, language, look.zone(timezone))
    path.parent.mkdir(parents=True, exist_ok=True)
    entries: Iterator[Entry] = chain(skipped, images)
    count = max(1, math.ceil((sum(summary.counts.values()) + summary.skipped_rows) / page_size))
    pages = [_page_path(path, number) for number in range(1, count + 1)]
    for number, page in enumerate(pages, start=1):
        here = islice(entries, page_size) if number < count else entries
        _write_whole(page, _page(shared, here, number, _navigation(pages, number)))
    _remove_leftovers(path, keep=count)
    return pages


@dataclass(frozen=True, slots=True)
class PageLink:
    """One entry of the navigation; ``href`` is ``None`` for a gap."""

    number: int
    href: str | None
    current: bool = False


def _shared_context(summary: BatchSummary, language: Language, zone: tzinfo) -> dict[str, Any]:
    """What every page of the sheet is drawn with."""
    script = _packaged("contact_sheet.js")
    return {
        "summary": summary,
        "language": language,
        "words": wording.words(language),
        "state_labels": wording.state_labels(language),
        "class_labels": wording.class_labels(language),
        "mends": wording.mends(language),
        "shares": look.shares(summary.counts, summary.skipped_rows),
        "duration": wording.duration(summary.duration_seconds, language),
        "moment": lambda moment: look.moment(moment, zone),
        "style": Markup(_packaged("contact_sheet.css")),  # noqa: S704 -- our own file, not data
        "script": Markup(script),  # noqa: S704 -- our own file, not data
        "script_hash": b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }


def _page(shared: Mapping[str, Any], entries: Iterable[Entry], number: int, links: list[PageLink]) -> Iterator[str]:
    """The page in pieces; its entries live as long as this generator does."""
    here = sorted(entries, key=_rank)
    return _template().generate(**shared, entries=here, page=number, filters=_filters(here), navigation=links)


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = look.environment("tasks.report")
    environment.filters["data_uri"] = _data_uri
    environment.tests["troubled"] = _is_troubled
    return environment.get_template("contact_sheet.html")


@lru_cache(maxsize=2)
def _packaged(name: str) -> str:
    return resources.files("tasks.report").joinpath("templates", name).read_text(encoding="utf-8")


def _is_troubled(entry: Entry) -> bool:
    """Whether the entry is a problem to read rather than a picture to look at."""
    return isinstance(entry, SkippedRow) or attention_rank(entry.state) <= attention_rank(State.HELD)


def _rank(entry: Entry) -> int:
    return -1 if isinstance(entry, SkippedRow) else attention_rank(entry.state)


def _state_of(entry: Entry) -> str:
    return look.SKIPPED if isinstance(entry, SkippedRow) else entry.state.value


def _filters(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    """The states on this page with their counts, in the order of their labels."""
    counts = Counter(map(_state_of, entries))
    return [(state, counts[state]) for state in wording.state_labels("en") if counts[state]]


def _data_uri(thumbnail: bytes | None) -> str | None:
    """The thumbnail as it is embedded; ``None`` for no bytes and for bytes of no known kind."""
    content_type = look.content_type(thumbnail or b"")
    return f"data:{content_type};base64,{b64encode(thumbnail or b'').decode()}" if content_type else None


def _page_path(first: Path, number: int) -> Path:
    return first if number == 1 else first.with_name(f"{first.stem}-{number}{first.suffix}")


def _navigation(pages: Sequence[Path], current: int) -> list[PageLink]:
    """First, last and neighbouring pages, with gaps between; empty when there is only one."""
    if len(pages) == 1:
        return []
    near = range(current - _NEIGHBOURS, current + _NEIGHBOURS + 1)
    links: list[PageLink] = []
    for number, page in enumerate(pages, start=1):
        if number in near or number in (1, len(pages)):
            links.append(PageLink(number, quote(page.name), current=number == current))
        elif links[-1].href is not None:
            links.append(PageLink(number, None))
    return links


def _write_whole(path: Path, chunks: Iterable[str]) -> None:
    """Write beside the path, then replace it; odd bytes from a tool's output must not cost the report."""
    partial = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        with partial.open("w", encoding="utf-8", errors="replace") as stream:
            stream.writelines(chunks)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _remove_leftovers(first: Path, *, keep: int) -> None:
    """Remove pages of an earlier, longer sheet."""
    numbered = re.compile(rf"{re.escape(first.stem)}-(\d+){re.escape(first.suffix)}")
    for candidate in first.parent.iterdir():
        match = numbered.fullmatch(candidate.name)
        if match and int(match[1]) > keep:
            candidate.unlink()
