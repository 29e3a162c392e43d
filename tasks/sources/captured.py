"""A source kept for later: its bytes as they are, or its mappings as JSON, and how to read them again.

Mappings are written a thousand to a line, which costs a fortieth of a line for each: submitting must be quick.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from math import isfinite
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import orjson

from tasks.core.plan import RowProblem
from tasks.sources.mappings import NAME, of_records, record_of, survey
from tasks.sources.opening import check_limit, open_rows, peek
from tasks.sources.rows import RowSource
from tasks.sources.text import as_text, clean

BLOCK_BYTES = 1 << 20

_CHUNK = 1000
_PLAIN = {str, int, bool, type(None)}
_FILE = "file"


@dataclass(frozen=True, slots=True)
class Captured:
    """``name`` is the file's, or ``rows``. ``columns`` is ``None`` where only reading the whole source tells them.

    ``blocks`` are the bytes, to be read once and at once. ``keys`` are the mappings' own, in order; ``None`` for files.
    ``path`` is a file that has the same bytes for now, which :func:`reopen` reads.
    """

    name: str
    columns: tuple[str, ...] | None
    blocks: Iterator[bytes]
    path: Path
    keys: tuple[str, ...] | None = None


@contextmanager
def capture(
    source: str | Path | Iterable[Mapping[str, Any]], *, encoding: str | None = None, limit: int | None = None
) -> Iterator[Captured]:
    """Look at the beginning of a source and make its bytes ready to be kept; nothing of it is needed afterwards.

    An iterable is read to its end, or to the limit, into a temporary file. Raises InputError for what the
    beginning shows: a missing or empty file, one that is no text, no rows, two columns of one name.
    """
    check_limit(limit)
    if isinstance(source, str | Path):
        path = Path(source)
        columns = peek(path, encoding)
        with path.open("rb") as file:
            yield Captured(path.name, columns, _blocks(file), path)
        return
    names, records = survey(source)
    with NamedTemporaryFile() as file:
        for chunk in _chunks(records if limit is None else _first(records, limit, names)):
            file.write(_line(chunk))
        file.flush()
        file.seek(0)
        keys = tuple(map(str, names))
        columns = tuple(name for name in map(clean, keys) if name)
        yield Captured(NAME, columns, _blocks(file), Path(file.name), keys)


def reopen(
    path: Path, *, keys: Sequence[str] | None, encoding: str | None = None, limit: int | None = None
) -> RowSource:
    """The rows of a captured source whose bytes are in a file again; for files, under the name that they had.

    Gives exactly what :func:`tasks.sources.open_rows` gives for the source itself.
    """
    if keys is None:
        return open_rows(path, encoding=encoding, limit=limit)
    return of_records(_Lines(path), dict.fromkeys(keys), limit)


class _Lines:
    """The captured mappings, as often as they are asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[object]:
        with self._path.open("rb") as file:
            for line in file:
                for row in json.loads(line):
                    yield {name: _value(value) for name, value in row.items()} if isinstance(row, dict) else _value(row)


class _Unfit:
    """Stands for what was no mapping, or no single value: all that is left of it is how it looked."""

    def __init__(self, looks: str) -> None:
        self._looks = looks

    def __repr__(self) -> str:
        return self._looks


def _value(value: object) -> object:
    return _Unfit(value[0]) if isinstance(value, list) else value


def _chunks(records: Iterable[object]) -> Iterator[list[object]]:
    iterator = iter(records)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def _line(rows: list[object]) -> bytes:
    """A line of JSON. Rows of plain values, as most are, are written as they stand: forty times faster."""
    if _all_plain(rows):
        try:
            return orjson.dumps(rows, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError:  # an integer of more than 64 bits, or half of a surrogate pair
            pass
    return json.dumps([_portable(row) for row in rows]).encode() + b"\n"


def _all_plain(rows: list[Any]) -> bool:
    return (
        set(map(type, rows)) == {dict}
        and set(map(type, chain.from_iterable(rows))) <= {str}
        and set(map(type, chain.from_iterable(map(dict.values, rows)))) <= _PLAIN
    )


def _portable(row: object) -> object:
    """What JSON has no word for as text; what is no single value, or no mapping, as a list of how it looks."""
    if not isinstance(row, Mapping):
        return [repr(row)]
    return {str(name): _portable_value(value) for name, value in row.items()}


def _portable_value(value: object) -> object:
    if type(value) in _PLAIN or (type(value) is float and isfinite(value)):
        return value
    text = as_text(value)
    return [repr(value)] if text is None else text


def _first(records: Iterable[object], limit: int, names: Mapping[str, None]) -> Iterator[object]:
    """As many records as hold ``limit`` rows; blank ones are no rows."""
    found = 0
    for number, record in enumerate(records, start=1):
        yield record
        cells = record_of(number, record, names)
        found += isinstance(cells, RowProblem) or any(clean(cell) for cell in cells[1])
        if found == limit:
            return


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block
