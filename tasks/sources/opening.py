"""One door for every kind of source."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from tasks.core.errors import InputError
from tasks.sources.delimited import open_delimited
from tasks.sources.jsonlines import check_jsonlines, open_jsonlines
from tasks.sources.mappings import open_mappings
from tasks.sources.rows import RowSource
from tasks.sources.workbook import check_workbook, open_workbook

_DELIMITED = frozenset({".csv", ".tsv", ".txt"})
_JSON_LINES = frozenset({".jsonl", ".ndjson"})
_PEEKED_BYTES = 1 << 20


def open_rows(
    source: str | os.PathLike[str] | Iterable[Mapping[str, object]],
    *,
    encoding: str | None = None,
    limit: int | None = None,
) -> RowSource:
    """Open a file (.csv, .tsv, .jsonl, .ndjson, .xlsx) or any iterable of mappings as a stream of rows.

    ``encoding`` overrides what is found in the file; ``limit`` takes the first rows only, blank ones not counted.
    Raises InputError, naming the file and the mend, when it is missing, empty, without rows, or not readable.
    """
    check_limit(limit)
    if not isinstance(source, str | os.PathLike):
        return open_mappings(source, limit)
    path = Path(source)
    try:
        rows = _open_file(path, encoding, limit)
        next(iter(rows))  # a file without rows is said at once
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    return rows


def peek(path: Path, encoding: str | None = None) -> tuple[str, ...] | None:
    """The columns that the beginning of a file shows, however long it is; ``None`` for Excel and for long JSONL.

    Raises InputError for what is wrong with the beginning, as :func:`open_rows` does.
    """
    try:
        match _kind(path):
            case "delimited":
                rows = open_delimited(path, encoding, None, most_bytes=_PEEKED_BYTES)
                next(iter(rows))
                return rows.columns
            case "jsonlines":
                if path.stat().st_size <= _PEEKED_BYTES:
                    return open_jsonlines(path, encoding, None).columns
                check_jsonlines(path, encoding, _PEEKED_BYTES)
            case "workbook":
                check_workbook(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    return None


def check_limit(limit: int | None) -> None:
    """Raise InputError for a limit that takes no row."""
    if limit is not None and limit < 1:
        raise InputError(f"--limit {limit}: take at least 1 row")


def _open_file(path: Path, encoding: str | None, limit: int | None) -> RowSource:
    match _kind(path):
        case "delimited":
            return open_delimited(path, encoding, limit)
        case "jsonlines":
            return open_jsonlines(path, encoding, limit)
        case "workbook":
            return open_workbook(path, limit)


def _kind(path: Path) -> Literal["delimited", "jsonlines", "workbook"]:
    """By the name's suffix. Raises InputError when there is no such file, or none that can be read."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it")
    if not path.exists():
        raise InputError(f"there is no file {path}; check the name, and the folder you are in")
    match path.suffix.lower():
        case suffix if suffix in _DELIMITED:
            return "delimited"
        case suffix if suffix in _JSON_LINES:
            return "jsonlines"
        case ".xlsx" | ".xlsm":
            return "workbook"
        case _:
            raise InputError(f"{path.name} is none of .csv, .tsv, .jsonl, .ndjson, .xlsx; save it as CSV UTF-8")
