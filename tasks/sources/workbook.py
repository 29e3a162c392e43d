"""The active sheet of an Excel workbook (.xlsx), by the optional openpyxl."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from zipfile import BadZipFile, is_zipfile

from tasks.core.errors import InputError
from tasks.sources.rows import Cells, RowSource, check_header
from tasks.sources.text import as_text


def open_workbook(path: Path, limit: int | None) -> RowSource:
    """The first row that is not blank names the columns. Raises InputError without openpyxl or a readable sheet."""
    header_line, cells = next(_records(path), (0, []))
    if not cells:
        raise InputError(f"{path.name} has an empty sheet; its first row names the columns, such as sku, name, color")
    header = check_header(path.name, header_line, cells)

    def read() -> Iterator[Cells]:
        records = _records(path)
        next(records)  # the header
        return records

    return RowSource(path.name, header, read, limit=limit)


def check_workbook(path: Path) -> None:
    """Raise InputError when the file is no zip archive, which every workbook is."""
    if not is_zipfile(path):
        raise _unreadable(path)


def _unreadable(path: Path) -> InputError:
    return InputError(f"{path.name} cannot be read as an Excel workbook; save it again as .xlsx")


def _records(path: Path) -> Iterator[Cells]:
    """Yield row number and cells as text; blank rows before the header are skipped."""
    try:
        from openpyxl import load_workbook  # an extra: CSV users need not have it
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as error:
        raise InputError(f"{path.name}: reading Excel files needs openpyxl: pip install 'imagechord[xlsx]'") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sheet features that have no data in them
            book = load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, InvalidFileException, KeyError, ValueError) as error:
        raise _unreadable(path) from error
    started = False
    with closing(book):
        sheet = book.worksheets[0] if book.active is None else book.active
        sheet.reset_dimensions()  # some programs write wrong ones, and rows would be lost
        for line, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            cells = [str(value) if (text := as_text(value)) is None else text for value in row]
            started = started or any(cell.strip() for cell in cells)
            if started:
                yield line, cells
