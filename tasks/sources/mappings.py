"""Rows from Python: any iterable of mappings, such as a list of dicts, a queryset's ``values()``, a generator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from tasks.core.errors import InputError
from tasks.core.plan import RowProblem
from tasks.sources.rows import Cells, RowSource, check_header
from tasks.sources.text import as_text

NAME = "rows"


def open_mappings(rows: Iterable[Mapping[str, object]], limit: int | None) -> RowSource:
    """The columns are the keys of all rows, or of the first one where ``rows`` is an iterator, which passes once.

    Raises InputError when there is no row.
    """
    names, records = survey(rows)
    return of_records(records, names, limit)


def survey(rows: Iterable[Mapping[str, object]]) -> tuple[dict[str, None], Iterable[object]]:
    """The columns, in the order in which they appear, and the rows from the first one on.

    Raises InputError when there is no row, or two columns are the same.
    """
    if isinstance(rows, Mapping):
        raise InputError("rows is a single mapping; give a list (or any iterable) of them")
    iterator = iter(rows)
    first = next(iterator, None)
    if first is None:
        raise InputError("there are no rows; give one mapping for each picture")
    passes_once = iterator is rows
    named: Iterable[object] = [first] if passes_once else rows
    names = dict.fromkeys(chain.from_iterable(row for row in named if isinstance(row, Mapping)))
    check_header(NAME, 1, tuple(map(str, names)))
    return names, _Once(chain([first], iterator)) if passes_once else rows


def of_records(records: Iterable[object], names: Mapping[str, None], limit: int | None) -> RowSource:
    """Rows whose columns are known."""

    def read() -> Iterator[Cells | RowProblem]:
        return (record_of(number, row, names) for number, row in enumerate(records, start=1))

    return RowSource(NAME, check_header(NAME, 1, tuple(map(str, names))), read, limit=limit)


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


def record_of(number: int, row: object, names: Mapping[str, None]) -> Cells | RowProblem:
    """The cells of one row, or why it has none."""
    if not isinstance(row, Mapping):
        return RowProblem(number, "", repr(row), "the row is not a mapping", 'Write it like {"sku": "A-1"}.')
    if not row.keys() <= names.keys():
        surplus = next(name for name in row if name not in names)
        mend = "Give every row the same keys (empty text for no value), or give a list instead of an iterator."
        text = as_text(row[surplus])
        value = repr(row[surplus]) if text is None else text
        return RowProblem(number, str(surplus), value, "the first row has no such key", mend)
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
