"""The manifest: one line for every image and every skipped row of a batch, as JSON Lines or CSV.

Columns, in this order; new ones are only ever added at the end:

==================  =========================================================================================
``line``            line of the source on which the row begins, counted from 1
``sku``             the row's key; empty for a skipped row
``variant``         which of the row's pictures this is; empty for a skipped row
``state``           a state of the ledger, or ``skipped``
``url``             public URL of the picture
``output_key``      its key in the bucket or folder
``width, height``   asked and published size in pixels
``template``        name of the prompt template
``model``           alias of the catalogue
``prompt``          the words that were sent
``cost_usd``        what the picture cost in US dollars; 0 when it was reused
``reused``          true when the picture had been bought before
``attempts``        paid calls made for it
``error_class``     as in :class:`tasks.core.errors.ErrorClass`; ``skipped_row`` for a skipped row
``error_step``      the step that failed
``error_message``   what went wrong; the problems of a skipped row, joined by `` | ``
``fingerprint``     64 hexadecimal characters
``cms_receipt``     what the CMS answered
``created_at``      ISO 8601 with offset
``published_at``    ISO 8601 with offset
``asked_model``     the model that a fallback has taken the place of; empty where none has
==================  =========================================================================================

JSON Lines hold the source row besides, as ``row``. Absent values are ``null`` there and empty in CSV.

Spreadsheets run a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula. The manifest is for reading,
so such a cell gets a leading apostrophe. The file of failed rows is for reading *in again*, so its values must
survive: see :func:`write_failed_csv`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import IO

from tasks.core.money import MICROS_PER_USD
from tasks.core.states import UNPUBLISHED_ENDS
from tasks.core.views import ImageView, SkippedRow

COLUMNS = (
    *("line", "sku", "variant", "state", "url", "output_key", "width", "height", "template", "model", "prompt"),
    *("cost_usd", "reused", "attempts", "error_class", "error_step", "error_message"),
    *("fingerprint", "cms_receipt", "created_at", "published_at", "asked_model"),
)
SKIPPED = "skipped"
SKIPPED_CLASS = "skipped_row"
ERROR_COLUMNS = ("_error_class", "_error_message")

_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet compute; the full-width forms count in Korean, Japanese and Chinese Excel."""

_APOSTROPHE = "'"
_TRIMMED_BY_OUR_READER = "\N{ZERO WIDTH SPACE}"

Cell = str | int | float | bool | None


def write_jsonl(stream: IO[str], images: Iterable[ImageView], skipped: Iterable[SkippedRow]) -> None:
    """Write one JSON object a line, UTF-8 text as it is, the skipped rows last."""
    for entry, row in _entries(images, skipped):
        stream.write(json.dumps({**entry, "row": dict(row)}, ensure_ascii=False) + "\n")


def write_csv(stream: IO[str], images: Iterable[ImageView], skipped: Iterable[SkippedRow], *, excel: bool) -> None:
    """Write the manifest as CSV; open the stream with ``newline=""`` and ``encoding="utf-8"``.

    ``excel`` begins the file with a byte order mark, without which Excel garbles Korean.
    """
    if excel:
        stream.write(_BOM)
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    for entry, _row in _entries(images, skipped):
        writer.writerow([_disarmed(_cell(value), _APOSTROPHE) for value in entry.values()])


def write_failed_csv(
    stream: IO[str],
    images: Iterable[ImageView],
    skipped: Iterable[SkippedRow],
    columns: Sequence[str],
    *,
    excel: bool,
) -> None:
    """Write the rows that were not published, in their original ``columns``, to be mended and run again.

    Each source row is written once, however many of its variants failed, with ``_error_class`` and
    ``_error_message`` behind its own columns. Rows that wait (held, unknown) are left out: running them again
    might pay twice. Values stay as they are, even those that look like formulas, because an apostrophe would
    end up in the next run's pictures; with ``excel`` they begin with a zero-width space, which a spreadsheet
    takes for text and our reader trims. The two error columns are ours and get the apostrophe.
    """
    guard = _TRIMMED_BY_OUR_READER if excel else ""
    own = [column for column in columns if column not in ERROR_COLUMNS]
    if excel:
        stream.write(_BOM)
    writer = csv.writer(stream)
    writer.writerow([*(_disarmed(column, guard) for column in own), *ERROR_COLUMNS])
    for row, error_class, message in _failed_rows(images, skipped):
        values = [_disarmed(row.get(column, ""), guard) for column in own]
        writer.writerow([*values, error_class, _disarmed(message, _APOSTROPHE)])


def write_failed_jsonl(stream: IO[str], images: Iterable[ImageView], skipped: Iterable[SkippedRow]) -> None:
    """As :func:`write_failed_csv`, an object a line: the source row, and the two error keys behind its own."""
    for row, error_class, message in _failed_rows(images, skipped):
        own = {column: value for column, value in row.items() if column not in ERROR_COLUMNS}
        told = dict(zip(ERROR_COLUMNS, (error_class, message), strict=True))
        stream.write(json.dumps({**own, **told}, ensure_ascii=False) + "\n")


def _failed_rows(
    images: Iterable[ImageView], skipped: Iterable[SkippedRow]
) -> Iterator[tuple[dict[str, str], str, str]]:
    """Each row that was not published once, with the class and message of its first failure."""
    seen: set[int] = set()
    for image in images:
        if image.state in UNPUBLISHED_ENDS and image.line not in seen:
            seen.add(image.line)
            yield dict(image.row), image.error_class or image.state.value, image.error_message or ""
    for row in skipped:
        yield dict(row.row), SKIPPED_CLASS, " | ".join(row.problems)


def _entries(
    images: Iterable[ImageView], skipped: Iterable[SkippedRow]
) -> Iterator[tuple[dict[str, Cell], dict[str, str]]]:
    """Every line of the manifest: its columns, and the source row."""
    for image in images:
        yield _image_entry(image), dict(image.row)
    for row in skipped:
        yield _skipped_entry(row), dict(row.row)


def _image_entry(image: ImageView) -> dict[str, Cell]:
    return {
        "line": image.line,
        "sku": image.key,
        "variant": image.variant,
        "state": image.state.value,
        "url": image.public_url,
        "output_key": image.output_key,
        "width": image.size.width,
        "height": image.size.height,
        "template": image.template,
        "model": image.model,
        "prompt": image.prompt,
        "cost_usd": image.cost_usd_micros / MICROS_PER_USD,
        "reused": image.reused,
        "attempts": image.attempts,
        "error_class": image.error_class,
        "error_step": image.error_step,
        "error_message": image.error_message,
        "fingerprint": image.fingerprint,
        "cms_receipt": image.cms_receipt,
        "created_at": _timestamp(image.created_at),
        "published_at": _timestamp(image.published_at),
        "asked_model": image.asked_model,
    }


def _skipped_entry(row: SkippedRow) -> dict[str, Cell]:
    known: dict[str, Cell] = {
        "line": row.line,
        "state": SKIPPED,
        "cost_usd": 0.0,
        "reused": False,
        "attempts": 0,
        "error_class": SKIPPED_CLASS,
        "error_message": " | ".join(row.problems),
    }
    return {column: known.get(column) for column in COLUMNS}


def _timestamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _cell(value: Cell) -> str:
    """A value as CSV writes it: dollars never in scientific notation, booleans as ``true`` and ``false``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{Decimal(str(value)):f}"
    return "" if value is None else str(value)


def _disarmed(text: str, guard: str) -> str:
    """The text, with the guard before it when a spreadsheet would compute it."""
    return guard + text if text.startswith(_FORMULA_STARTS) else text
