"""One door for every kind of source."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from tasks.core.errors import InputError
from tasks.sources.delimited import open_delimited
from tasks.sources.jsonlines import open_jsonlines
from tasks.sources.mappings import open_mappings
from tasks.sources.rows import RowSource
from tasks.sources.workbook import open_workbook

_DELIMITED = frozenset({".csv", ".tsv", ".txt"})
_JSON_LINES = frozenset({".jsonl", ".ndjson"})


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
    if limit is not None and limit < 1:
        raise InputError(f"--limit {limit}: take at least 1 row")
    if not isinstance(source, str | os.PathLike):
        return open_mappings(source, limit)
    path = Path(source)
    try:
        rows = _open_file(path, encoding, limit)
        next(iter(rows))  # a file without rows is said at once
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    return rows


def _open_file(path: Path, encoding: str | None, limit: int | None) -> RowSource:
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it")
    if not path.exists():
        raise InputError(f"there is no file {path}; check the name, and the folder you are in")
    match path.suffix.lower():
        case suffix if suffix in _DELIMITED:
            return open_delimited(path, encoding, limit)
        case suffix if suffix in _JSON_LINES:
            return open_jsonlines(path, encoding, limit)
        case ".xlsx" | ".xlsm":
            return open_workbook(path, limit)
        case _:
            raise InputError(f"{path.name} is none of .csv, .tsv, .jsonl, .ndjson, .xlsx; save it as CSV UTF-8")
