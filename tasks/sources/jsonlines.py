"""JSONL: one JSON object in each line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.core.errors import InputError
from tasks.core.plan import RowProblem
from tasks.sources.encodings import find_encoding
from tasks.sources.mappings import in_order
from tasks.sources.rows import Cells, RowSource, check_header

_MEND = 'Write one object in each line, such as {"sku": "A-1", "name": "Lamp"}.'


def open_jsonlines(path: Path, encoding: str | None, limit: int | None) -> RowSource:
    """The columns are the keys of all objects, in the order of their first appearance: one pass finds them."""
    found = check_jsonlines(path, encoding)
    names = dict.fromkeys(name for _, record in _objects(path, found) if isinstance(record, dict) for name in record)
    header = check_header(path.name, 1, tuple(names))

    def read() -> Iterator[Cells | RowProblem]:
        for line, record in _objects(path, found):
            if isinstance(record, dict):
                yield in_order(line, record, names)
            else:
                yield RowProblem(line, "", str(record), "the line is not a JSON object", _MEND)

    return RowSource(path.name, header, read, encoding=found, limit=limit)


def check_jsonlines(path: Path, encoding: str | None, most_bytes: int | None = None) -> str:
    """The file's encoding, as far as ``most_bytes`` tell. Raises InputError when it is empty or is no text."""
    found = find_encoding(path, encoding, most_bytes)
    if not any(True for _ in _objects(path, found)):
        raise InputError(f"{path.name} is empty; write one JSON object in each line")
    return found


def _objects(path: Path, encoding: str) -> Iterator[tuple[int, Any]]:
    """Yield line and object; text in place of an object where the line is not JSON. Numbers stay as written."""
    with path.open(encoding=encoding) as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                yield line, json.loads(text, parse_int=str, parse_float=str)
            except json.JSONDecodeError:
                yield line, text.strip()
