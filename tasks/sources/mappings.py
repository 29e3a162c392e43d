"""Rows from Python: any iterable of mappings, such as a list of dicts, a queryset's ``values()``, a generator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from tasks.core.errors import InputError
from tasks.core.plan import RowProblem
from tasks.sources.rows import Cells, RowSource, check_header
from tasks.sources.text import as_text

_NAME = "rows"


def open_mappings(rows: Iterable[Mapping[str, object]], limit: int | None) -> RowSource:
    """The columns are the keys of all rows, or of the first one where ``rows`` is an iterator, which passes once.

    Raises InputError when there is no row.
    """
    if isinstance(rows, Mapping):
        raise InputError("rows is a single mapping; give a list (or any iterable) of them")
    iterator = iter(rows)
    first = next(iterator, None)
    if first is None:
        raise InputError("there are no rows; give one mapping for each picture")
    passes_once = iterator is rows
    records: Iterable[object] = _Once(chain([first], iterator)) if passes_once else rows
    named: Iterable[object] = [first] if passes_once else rows
    names = dict.fromkeys(name for row in named if isinstance(row, Mapping) for name in row)
    header = check_header(_NAME, 1, tuple(str(name) for name in names))

    def read() -> Iterator[Cells | RowProblem]:
        return (_record(number, row, names) for number, row in enumerate(records, start=1))

    return RowSource(_NAME, header, read, limit=limit)


class _Once:
    """An iterator that says so when it is asked a second time, instead of being silently empty."""

    def __init__(self, rows: Iterator[object]) -> None:
        self._rows: Iterator[object] | None = rows

    def __iter__(self) -> Iterator[object]:
        rows, self._rows = self._rows, None
        if rows is None:
            raise InputError(
                "the rows came from an iterator and have been read already; give a list to read them twice"
            )
        return rows


def _record(number: int, row: object, names: Mapping[str, None]) -> Cells | RowProblem:
    if not isinstance(row, Mapping):
        return RowProblem(number, "", repr(row), "the row is not a mapping", 'Write it like {"sku": "A-1"}.')
    if not row.keys() <= names.keys():
        surplus = next(name for name in row if name not in names)
        mend = "Give every row the same keys (empty text for no value), or give a list instead of an iterator."
        return RowProblem(number, str(surplus), str(row[surplus]), "the first row has no such key", mend)
    return in_order(number, row, names)


def in_order(line: int, record: Mapping[Any, object], names: Iterable[str]) -> Cells | RowProblem:
    """Put a mapping's values in the order of the columns, as text; a value that is a list or mapping is a problem."""
    cells: list[str] = []
    for name in names:
        text = as_text(record.get(name))
        if text is None:
            mend = "Give a text, a number, true, false or nothing."
            return RowProblem(line, str(name), repr(record[name]), "the value is not a single one", mend)
        cells.append(text)
    return line, cells
