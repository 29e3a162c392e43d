from __future__ import annotations

import datetime as dt
import subprocess
import sys
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from openpyxl import Workbook

from tasks.core.errors import InputError
from tasks.core.plan import Row, RowProblem
from tasks.sources import open_rows


def values(source: Any, **options: Any) -> list[Any]:
    """The values of all rows of a source without bad ones."""
    found = list(open_rows(source, **options))
    assert all(isinstance(row, Row) for row in found)
    return [row.values for row in found]


def workbook(folder: Path, *rows: tuple[Any, ...]) -> Path:
    """A workbook with these rows on its sheet."""
    book = Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    path = folder / "products.xlsx"
    book.save(path)
    return path


class TestJsonLines:
    def test_each_line_is_a_row(self, tmp_path: Path) -> None:
        """Columns are the keys of all lines; what a line lacks is empty; numbers stay as they are written."""
        path = tmp_path / "products.jsonl"
        path.write_text(
            '{"sku": "A-1", "price": 1.50, "new": true}\n\n{"sku": 8801234567890, "name": "조명", "new": null}\n',
            encoding="utf-8",
        )
        source = open_rows(path)
        assert (source.columns, source.encoding, source.delimiter) == (("sku", "price", "new", "name"), "utf-8", "")
        assert list(source) == [
            Row(1, {"sku": "A-1", "price": "1.50", "new": "true", "name": ""}),
            Row(3, {"sku": "8801234567890", "price": "", "new": "", "name": "조명"}),
        ]

    def test_encodings_are_those_of_csv(self, tmp_path: Path) -> None:
        """CP949 is found, and another one can be asked for."""
        path = tmp_path / "products.ndjson"
        path.write_bytes('{"sku": "조명"}\n'.encode("cp949"))
        assert open_rows(path).encoding == "cp949"
        assert values(path, encoding="euc-kr") == [{"sku": "조명"}]

    @pytest.mark.parametrize("line", ["{broken", '["sku"]', '"text"', "5", "null"])
    def test_a_line_that_is_no_object_is_a_problem(self, tmp_path: Path, line: str) -> None:
        """It is named, and the others go on."""
        path = tmp_path / "products.jsonl"
        path.write_text('{"sku": "A-1"}\n' + line + '\n{"sku": "A-2"}\n', encoding="utf-8")
        first, problem, last = open_rows(path)
        assert isinstance(problem, RowProblem)
        assert (problem.line, problem.message) == (2, "the line is not a JSON object")
        assert (first, last) == (Row(1, {"sku": "A-1"}), Row(3, {"sku": "A-2"}))

    def test_nested_values_are_a_problem(self, tmp_path: Path) -> None:
        """A list is no text."""
        path = tmp_path / "products.jsonl"
        path.write_text('{"sku": "A-1", "tags": ["a"]}\n', encoding="utf-8")
        [problem] = open_rows(path)
        assert isinstance(problem, RowProblem)
        assert (problem.column, problem.value) == ("tags", "['a']")

    @pytest.mark.parametrize(("content", "says"), [("", "is empty"), ("\n\n", "is empty"), ("{}\n", "no rows")])
    def test_nothing_to_read(self, tmp_path: Path, content: str, says: str) -> None:
        """A file without objects, and one without anything in them."""
        path = tmp_path / "products.jsonl"
        path.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=says):
            open_rows(path)


class TestMappings:
    def test_a_list_of_dicts(self) -> None:
        """Columns are the keys of all rows; lines count from 1; the list can be read again."""
        source = open_rows([{"sku": "A-1"}, {"sku": " A-2 ", "model": "seedream-5"}])
        assert (source.name, source.columns) == ("rows", ("sku", "model"))
        expected = [Row(1, {"sku": "A-1", "model": ""}), Row(2, {"sku": "A-2", "model": "seedream-5"})]
        assert list(source) == expected
        assert list(source) == expected

    def test_values_become_text(self) -> None:
        """As a person would write them."""
        row = {
            "none": None,
            "whole": 5,
            "float": 5.0,
            "part": 1.5,
            "money": Decimal("1.50"),
            "flag": False,
            "day": dt.date(2026, 5, 1),
            "id": UUID(int=1),
            3: "number as a name",
        }
        [made] = values([row])
        assert made == {
            "none": "",
            "whole": "5",
            "float": "5",
            "part": "1.5",
            "money": "1.50",
            "flag": "false",
            "day": "2026-05-01",
            "id": "00000000-0000-0000-0000-000000000001",
            "3": "number as a name",
        }

    def test_a_generator_streams(self) -> None:
        """Nothing is read ahead but the first row, which names the columns."""
        taken = []

        def produce() -> Any:
            for number in range(1000):
                taken.append(number)
                yield {"sku": str(number)}

        source = open_rows(produce(), limit=3)
        assert taken == [0]
        assert [row.values["sku"] for row in source if isinstance(row, Row)] == ["0", "1", "2"]
        assert len(taken) <= 4

    def test_a_generator_is_read_once(self) -> None:
        """The second time it says so instead of being empty."""
        source = open_rows(iter([{"sku": "A-1"}]))
        assert len(list(source)) == 1
        with pytest.raises(InputError, match="have been read already"):
            list(source)

    def test_a_new_key_in_a_generator_is_a_problem(self) -> None:
        """It could not have been planned for, and is not dropped silently."""
        _, problem, _ = open_rows(iter([{"sku": "A-1"}, {"sku": "A-2", "model": "x"}, {"sku": "A-3"}]))
        assert isinstance(problem, RowProblem)
        assert (problem.line, problem.column, problem.value) == (2, "model", "x")

    def test_a_row_that_is_no_mapping_is_a_problem(self) -> None:
        """The others go on."""
        rows: Any = [{"sku": "A-1"}, ["A-2"], {"sku": {"nested": 1}}]
        _, second, third = open_rows(rows)
        assert isinstance(second, RowProblem)
        assert isinstance(third, RowProblem)
        assert (second.message, third.message) == ("the row is not a mapping", "the value is not a single one")

    @pytest.mark.parametrize(
        ("rows", "says"),
        [([], "there are no rows"), (iter([]), "there are no rows"), ({"sku": "A-1"}, "a single mapping")],
    )
    def test_nothing_to_plan_is_said_at_once(self, rows: Any, says: str) -> None:
        """No rows, or one row where many are meant."""
        with pytest.raises(InputError, match=says):
            open_rows(rows)


class TestWorkbooks:
    def test_a_sheet_is_read_as_it_is_seen(self, tmp_path: Path) -> None:
        """Whole numbers without a point, long barcodes in full, dates, blanks; lines are the sheet's."""
        path = workbook(
            tmp_path,
            (),
            ("sku", "name", "price", "since", None),
            (8801234567890, " 조명 ", 15000.0, dt.datetime(2026, 5, 1)),  # noqa: DTZ001 - Excel knows no zones
            (),
            ("A-2", None, 1.5, dt.timedelta(hours=1), None),
        )
        source = open_rows(path)
        assert (source.columns, source.encoding) == (("sku", "name", "price", "since"), "")
        assert list(source) == [
            Row(3, {"sku": "8801234567890", "name": "조명", "price": "15000", "since": "2026-05-01T00:00:00"}),
            Row(5, {"sku": "A-2", "name": "", "price": "1.5", "since": "1:00:00"}),
        ]
        assert source.notes == ("1 blank row dropped",)

    def test_an_empty_sheet(self, tmp_path: Path) -> None:
        """Nothing to read is said."""
        with pytest.raises(InputError, match=r"products\.xlsx has an empty sheet"):
            open_rows(workbook(tmp_path))

    @pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + b"\0" * 18])
    def test_a_damaged_workbook(self, tmp_path: Path, content: bytes) -> None:
        """Something else under that name."""
        path = tmp_path / "products.xlsx"
        path.write_bytes(content)
        with pytest.raises(InputError, match="cannot be read as an Excel workbook; save it again"):
            open_rows(path)

    def test_without_openpyxl_the_extra_is_named(self, tmp_path: Path) -> None:
        """The message is the command to type."""
        program = (
            "import sys; sys.modules['openpyxl'] = None\n"
            "from tasks.sources import open_rows\n"
            "from tasks.core.errors import InputError\n"
            "try: open_rows(sys.argv[1])\n"
            "except InputError as error: print(error)"
        )
        command = [sys.executable, "-c", program, str(workbook(tmp_path, ("sku",), ("1",)))]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
        assert "pip install 'imagechord[xlsx]'" in done.stdout


def test_sources_need_no_warnings_filter(tmp_path: Path) -> None:
    """Reading leaves no file open behind it, also when only the first row is taken."""
    path = tmp_path / "products.csv"
    path.write_text("sku\n1\n2\n", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = iter(open_rows(path))
        next(rows)
        del rows
