"""What was captured says the same as the source itself, and is there when the source is gone."""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from tasks.core.errors import InputError
from tasks.core.plan import Row
from tasks.sources import open_rows
from tasks.sources.captured import BLOCK_BYTES, capture, reopen
from tasks.sources.rows import RowSource


class Colour(StrEnum):
    BLUE = "파랑"


class Shape(Enum):
    ROUND = "round"


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=8)  # halves of surrogate pairs, too
VALUES = st.one_of(
    ANY_TEXT,
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=1 << 63),
    st.floats(),
    st.decimals(allow_nan=False),
    st.dates(),
    st.datetimes(),
    st.uuids(),
    st.lists(st.integers(), max_size=2),
    st.tuples(st.text(max_size=2)),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
    st.binary(max_size=3),
    st.sampled_from([Colour.BLUE, Shape.ROUND, object]),
)
NAMES = st.sampled_from(["sku", "name", " colour ", "한글", "", 3, None])
MAPPINGS = st.dictionaries(NAMES, VALUES, max_size=4)
ROWS = st.lists(st.one_of(MAPPINGS, MAPPINGS.map(OrderedDict), VALUES), max_size=12)
LIMITS = st.one_of(st.none(), st.integers(1, 13))


def told(source: RowSource) -> list[Any]:
    """All that planning gets from a source."""
    return [source.name, source.columns, source.encoding, source.delimiter, list(source), source.notes]


def outcome(read: Callable[[], list[Any]]) -> list[Any]:
    """What reading tells, or its refusal."""
    try:
        return read()
    except InputError as error:
        return [str(error), error.problems]


def later(source: str | Path | Iterable[Any], limit: int | None = None, encoding: str | None = None) -> list[Any]:
    """Capture a source, and read it from a file of what was kept."""
    with TemporaryDirectory() as folder:
        with capture(source, limit=limit, encoding=encoding) as captured:
            path = Path(folder) / captured.name
            path.write_bytes(b"".join(captured.blocks))
        return told(reopen(path, keys=captured.keys, limit=limit, encoding=encoding))


@settings(max_examples=400, deadline=None)
@given(ROWS, LIMITS)
def test_mappings_say_the_same_later(rows: list[Any], limit: int | None) -> None:
    """The same columns, rows and problems, whatever the values are, from a list and from an iterator."""
    now = outcome(lambda: told(open_rows(rows, limit=limit)))
    assert outcome(lambda: later(rows, limit)) == now
    now = outcome(lambda: told(open_rows(iter(rows), limit=limit)))
    assert outcome(lambda: later(iter(rows), limit)) == now


def test_a_thousand_plain_rows_and_an_odd_one_say_the_same_later() -> None:
    """More than one line of the captured source, written in both ways."""
    rows: list[dict[str, Any]] = [{"sku": f"A-{n}", "price": n, "new": True, "note": None} for n in range(2500)]
    rows[1700]["price"] = Decimal("1.50")
    rows[2400] = {"sku": "\ud800", "price": 1 << 70}
    assert later(rows) == told(open_rows(rows))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("products.csv", "sku,name\nA-1,조명\n\nA-2,\n".encode("cp949")),
        ("products.tsv", "\ufeffsku\tname\nA-1\t조명\n".encode()),
        ("products.csv", "sku;name\nA-1;조명\n".encode("utf-16")),
        ("products.jsonl", b'{"sku": "A-1"}\n{broken\n{"sku": "A-2", "name": ["x"]}\n'),
    ],
)
@pytest.mark.parametrize("limit", [None, 1])
def test_a_file_says_the_same_later(tmp_path: Path, name: str, content: bytes, limit: int | None) -> None:
    """Byte for byte, under its own name."""
    path = tmp_path / name
    path.write_bytes(content)
    assert later(path, limit) == told(open_rows(path, limit=limit))


def test_a_workbook_says_the_same_later(tmp_path: Path) -> None:
    """Bytes are bytes."""
    book = Workbook()
    book.worksheets[0].append(("sku", "since"))
    book.worksheets[0].append((8801234567890, dt.date(2026, 5, 1)))
    path = tmp_path / "products.xlsx"
    book.save(path)
    assert later(path) == told(open_rows(path))


def test_an_encoding_that_was_asked_for_counts_later(tmp_path: Path) -> None:
    """As it does at once."""
    path = tmp_path / "products.csv"
    path.write_bytes("sku,name\nA-1,Größe\n".encode("latin-1"))
    assert later(path, encoding="latin-1") == told(open_rows(path, encoding="latin-1"))


def test_the_file_may_go(tmp_path: Path) -> None:
    """A web server removes its upload when the request ends."""
    path = tmp_path / "products.csv"
    path.write_text("sku\nA-1\n")
    with capture(path) as captured:
        kept = b"".join(captured.blocks)
    path.unlink()
    path.write_bytes(kept)
    assert list(reopen(path, keys=captured.keys)) == [Row(2, {"sku": "A-1"})]


def test_a_large_source_comes_in_blocks(tmp_path: Path) -> None:
    """About a megabyte each, so that nothing holds it all."""
    path = tmp_path / "products.csv"
    path.write_bytes(b"sku,name\n" + b"A-1,lamp\n" * 300_000)
    with capture(path) as captured:
        sizes = [len(block) for block in captured.blocks]
    assert max(sizes) == BLOCK_BYTES
    assert sum(sizes) == path.stat().st_size


def test_only_the_beginning_of_a_file_is_looked_at(tmp_path: Path) -> None:
    """What is wrong further on is found by whoever plans it: capturing takes the same time at any size."""
    path = tmp_path / "products.csv"
    path.write_bytes(b"sku,name\n" + b"A-1,lamp\n" * 300_000 + b"A-2,\xff\xff\xff\n")
    with capture(path) as captured:
        assert captured.columns == ("sku", "name")
    with pytest.raises(InputError, match="is not"):
        open_rows(path)


@pytest.mark.parametrize(("lines", "columns"), [(1000, ("sku", "name", "color")), (100_000, None)])
def test_columns_of_json_lines_are_known_at_once_where_that_is_quick(
    tmp_path: Path, lines: int, columns: tuple[str, ...] | None
) -> None:
    """Only the whole of a file tells them: of a megabyte it is read."""
    path = tmp_path / "products.jsonl"
    path.write_text('{"sku": "A-1", "name": "x"}\n' * lines + '{"sku": "A-2", "color": "red"}\n')
    with capture(path) as captured:
        assert captured.columns == columns


def test_a_character_on_the_edge_of_the_beginning_is_whole(tmp_path: Path) -> None:
    """The look may end within a character of three bytes."""
    path = tmp_path / "products.csv"
    for shift in range(3):
        path.write_bytes(b"sku,name\n" + b"x" * shift + ("조" * 100_000 + "\n").encode() * 4)
        with capture(path) as captured:
            assert captured.columns == ("sku", "name")


def test_an_endless_generator_is_read_to_the_limit() -> None:
    """Blank rows are not counted, as in a file."""

    def produce() -> Any:
        number = 0
        while True:
            yield {"sku": f"A-{number}" if number % 2 else ""}
            number += 1

    assert [row.values["sku"] for row in later(produce(), limit=3)[4]] == ["A-1", "A-3", "A-5"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("nowhere.csv", None, "there is no file"),
        ("products.csv", b"", "is empty"),
        ("products.csv", b"sku,name\n", "no rows"),
        ("products.csv", b"sku,SKU\n1,2\n", "are both called"),
        ("products.csv", b"PK\x03\x04", "is an Excel workbook"),
        ("products.jsonl", b"\n", "is empty"),
        ("products.xlsx", b"no zip", "cannot be read as an Excel workbook"),
        ("products.pdf", b"x", "is none of .csv"),
    ],
)
def test_a_beginning_that_cannot_be_right_is_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    """At once, in the words of reading it."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=says), capture(path):
        pass


@pytest.mark.parametrize(
    ("rows", "says"),
    [([], "no rows"), (iter([]), "no rows"), ({"sku": "A"}, "single mapping"), ([{"sku": 1, "SKU": 2}], "both called")],
)
def test_mappings_that_cannot_be_right_are_refused(rows: Any, says: str) -> None:
    """At once."""
    with pytest.raises(InputError, match=says), capture(rows):
        pass


def test_a_limit_below_one_is_refused() -> None:
    """Nobody means that."""
    with pytest.raises(InputError, match="at least 1 row"), capture([{"sku": "A"}], limit=0):
        pass
