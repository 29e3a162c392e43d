"""The stream of rows, whatever the format: trimmed, blank ones dropped and counted, limited, checked for shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from tasks.core.errors import InputError
from tasks.core.plan import Row, RowProblem
from tasks.sources.text import clean

Cells = tuple[int, Sequence[str]]
"""The line where a record begins, and its cells in the order of the header."""

ReadRecords = Callable[[], Iterable[Cells | RowProblem]]
"""Opens the source anew and yields its records; a RowProblem stands for a record that cannot be read."""


class RowSource:
    """Iterate it for :class:`Row`, or :class:`RowProblem` where a line cannot be one. Files can be read again.

    ``header`` are the column names, cleaned; an empty name is a column that must stay empty. ``encoding`` and
    ``delimiter`` are what was found, empty where the format has none. ``notes`` are complete after the iteration.
    """

    def __init__(  # noqa: PLR0913 - facts about the source
        self,
        name: str,
        header: tuple[str, ...],
        read_records: ReadRecords,
        *,
        encoding: str = "",
        delimiter: str = "",
        limit: int | None = None,
    ) -> None:
        self.name = name
        self.columns = tuple(column for column in header if column)
        self.encoding = encoding
        self.delimiter = delimiter
        self._header = header
        self._read_records = read_records
        self._limit = limit
        self._blank_rows = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know, in sentences without full stop."""
        if not self._blank_rows:
            return ()
        return (f"{self._blank_rows} blank row{'s' if self._blank_rows > 1 else ''} dropped",)

    def __iter__(self) -> Iterator[Row | RowProblem]:
        """Yield the rows. Raises InputError when there is none, or when the rest of the file cannot be read."""
        self._blank_rows = 0
        found = False
        for row in islice(self._rows(), self._limit):
            found = True
            yield row
        if not found:
            raise InputError(f"{self.name} has column names and no rows; add a row for each picture")

    def _rows(self) -> Iterator[Row | RowProblem]:
        for record in self._read_records():
            if isinstance(record, RowProblem):
                yield record
                continue
            line, cells = record
            values = [clean(cell) for cell in cells]
            if any(values):
                yield self._row(line, values)
            else:
                self._blank_rows += 1

    def _row(self, line: int, values: list[str]) -> Row | RowProblem:
        """Put values under their column names; missing cells at the end are empty, surplus ones a problem."""
        width = len(self._header)
        if len(values) < width:
            values += [""] * (width - len(values))
        named = dict(zip(self._header, values, strict=False))
        if any(values[width:]):
            surplus = next(value for value in values[width:] if value)
            message = f"the row has {len(values)} cells and there are {width} columns"
            mend = "Quote cells that contain the delimiter, as Excel does, or remove the surplus cells."
            return RowProblem(line, "", surplus, message, mend, named)
        if len(self.columns) < width:
            self._refuse_nameless(line, values)
            named.pop("", None)
        return Row(line, named)

    def _refuse_nameless(self, line: int, values: list[str]) -> None:
        for number, (column, value) in enumerate(zip(self._header, values, strict=False), start=1):
            if value and not column:
                raise InputError(
                    f"{self.name}, line {line}: column {number} has the value {value[:60]!r} and no name; "
                    "name it in the header line, or delete the column"
                )


def check_header(name: str, line: int, cells: Sequence[str]) -> tuple[str, ...]:
    """Clean the column names. Raises InputError when two are the same (upper and lower case alike)."""
    header = tuple(clean(cell) for cell in cells)
    numbers: dict[str, int] = {}
    for number, column in enumerate(header, start=1):
        first = numbers.setdefault(column.casefold(), number)
        if column and first != number:
            raise InputError(
                f"{name}, line {line}: columns {first} and {number} are both called {column!r}; rename one of them"
            )
    return header
