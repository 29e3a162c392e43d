"""CSV and TSV, as Excel and databases export them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from tasks.core.errors import InputError
from tasks.sources.encodings import find_encoding
from tasks.sources.rows import Cells, RowSource, check_header

_DELIMITERS = (",", ";", "\t")
_QUOTED = re.compile(r'"[^"]*"')


def open_delimited(path: Path, encoding: str | None, limit: int | None, *, most_bytes: int | None = None) -> RowSource:
    """Find encoding (looking at ``most_bytes`` of the file), delimiter and header.

    Raises InputError when the file is empty or is no text.
    """
    found = find_encoding(path, encoding, most_bytes)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _sniff(path, found)
    header_line, cells = next(_records(path, found, delimiter), (0, []))
    if not cells:
        raise InputError(f"{path.name} is empty; the first line names the columns, such as sku,name,color")
    header = check_header(path.name, header_line, cells)

    def read() -> Iterator[Cells]:
        records = _records(path, found, delimiter)
        next(records)  # the header
        return records

    return RowSource(path.name, header, read, encoding=found, delimiter=delimiter, limit=limit)


def _sniff(path: Path, encoding: str) -> str:
    """The delimiter that the header line holds most often outside quotes; a comma when it holds none."""
    with path.open(encoding=encoding, newline="") as file:
        header = next((line for line in file if line.strip()), "")
    bare = _QUOTED.sub("", header)
    return max(_DELIMITERS, key=bare.count)


def _records(path: Path, encoding: str, delimiter: str) -> Iterator[Cells]:
    """Yield the physical line where each record begins, and its cells; blank lines before the header are skipped.

    Raises InputError for quotes that do not end: everything after them would be swallowed.
    """
    line, started = 1, False
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                started = started or any(cell.strip() for cell in cells)
                if started:
                    yield line, cells
                line = reader.line_num + 1
        except csv.Error as error:
            raise InputError(
                f"{path.name}, line {line}: the quotes of the record that begins here do not match ({error}); "
                'a quoted cell ends with ", and a " inside it is written ""'
            ) from error
