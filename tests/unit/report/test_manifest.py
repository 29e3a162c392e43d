from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable

import pytest

from tasks.core.states import State
from tasks.core.views import ImageView, SkippedRow
from tasks.report import manifest
from tests.unit.report.factories import image, skipped

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1")


def jsonl(images: Iterable[ImageView], rows: Iterable[SkippedRow] = ()) -> list[dict[str, object]]:
    """The manifest as JSON Lines, read back."""
    stream = io.StringIO()
    manifest.write_jsonl(stream, images, rows)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def plain_csv(images: Iterable[ImageView], rows: Iterable[SkippedRow] = (), *, excel: bool = False) -> str:
    """The manifest as CSV, as written."""
    stream = io.StringIO(newline="")
    manifest.write_csv(stream, images, rows, excel=excel)
    return stream.getvalue()


def failed_csv(
    images: Iterable[ImageView],
    rows: Iterable[SkippedRow] = (),
    columns: tuple[str, ...] = ("sku",),
    *,
    excel: bool = False,
) -> list[list[str]]:
    """The file of failed rows, read back."""
    stream = io.StringIO(newline="")
    manifest.write_failed_csv(stream, images, rows, columns, excel=excel)
    return list(csv.reader(io.StringIO(stream.getvalue(), newline="")))


def test_jsonl_has_one_object_per_image_and_skipped_row() -> None:
    """Images come in their order, then the skipped rows, all with the same keys and the source row."""
    lines = jsonl([image(2), image(3, State.FAILED)], [skipped(4, "empty key", "no name", sku="", name="머그")])

    assert [line["state"] for line in lines] == ["published", "failed", "skipped"]
    assert all(tuple(line) == (*manifest.COLUMNS, "row") for line in lines)
    assert lines[0]["row"] == {"sku": "KR-2", "name": "리넨 셔츠"}
    assert lines[0]["cost_usd"] == 0.005
    assert lines[0]["created_at"] == "2026-11-22T09:05:00+00:00"
    assert lines[1]["url"] is None
    assert (lines[2]["line"], lines[2]["error_message"]) == (4, "empty key | no name")
    assert lines[2]["model"] is None


def test_jsonl_keeps_korean_readable() -> None:
    """Text is written as it is, not as escapes."""
    stream = io.StringIO()
    manifest.write_jsonl(stream, [image(2)], [])
    assert "리넨 셔츠" in stream.getvalue()


def test_csv_has_the_documented_columns() -> None:
    """The header is the documented tuple, every line has as many cells, booleans and money read plainly."""
    rows = list(csv.DictReader(io.StringIO(plain_csv([image(2, cost_usd_micros=1)], [skipped(3)]), newline="")))

    assert tuple(rows[0]) == manifest.COLUMNS
    assert rows[0]["cost_usd"] == "0.000001"
    assert rows[0]["reused"] == "false"
    assert image(2).row["sku"] == rows[0]["sku"]
    assert (rows[0]["width"], rows[0]["height"]) == ("1200", "630")
    assert (rows[1]["state"], rows[1]["error_class"], rows[1]["sku"]) == ("skipped", "skipped_row", "")


def test_every_column_is_documented() -> None:
    """The module's docstring names each column, so the manifest's description cannot fall behind."""
    documented = (manifest.__doc__ or "").replace("width, height", "width`` ``height")
    assert [column for column in manifest.COLUMNS if f"``{column}``" not in documented] == []


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("excel", [False, True])
def test_no_cell_of_the_manifest_is_a_formula(text: str, excel: bool) -> None:
    """A cell that a spreadsheet would compute begins with an apostrophe, whichever column it stands in."""
    hostile = image(2, State.FAILED, key=text, prompt=text, error_message=text, public_url=text, output_key=text)
    content = plain_csv([hostile], [skipped(3, text)], excel=excel).lstrip("\ufeff")

    cells = [cell for row in csv.reader(io.StringIO(content, newline="")) for cell in row]

    assert cells.count("'" + text) == 6
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝")) for cell in cells)


def test_excel_begins_with_a_byte_order_mark() -> None:
    """Excel needs the mark to read Korean; everyone else is spared it."""
    assert plain_csv([], excel=True).encode().startswith(b"\xef\xbb\xbfline,")
    assert plain_csv([]).startswith("line,")


def test_failed_rows_keep_their_columns_and_values() -> None:
    """Original columns in their order and unchanged values, even those that look like formulas."""
    failed = image(2, State.FAILED, row={"color": "=빨강", "sku": "-7"}, error_class="invalid", error_message="404")

    assert failed_csv([image(3), failed], columns=("sku", "color")) == [
        ["sku", "color", "_error_class", "_error_message"],
        ["-7", "=빨강", "invalid", "404"],
    ]


def test_failed_rows_for_excel_are_text_there_and_the_same_row_here() -> None:
    """A zero-width space stops the spreadsheet, and trimming zero-width characters gives the value back."""
    failed = image(2, State.FAILED, row={"=n": "=1", "sku": "A"}, error_message="=2")

    header, row = failed_csv([failed], columns=("sku", "=n"), excel=True)

    assert header[0] == "\ufeffsku"
    assert header[1] == "\u200b=n"
    assert row == ["A", "\u200b=1", "failed", "'=2"]


def test_failed_rows_are_those_that_ended_unpublished_and_the_skipped() -> None:
    """Waiting images are left out because running them again might pay twice; moving ones are not lost yet."""
    images = [image(line, state) for line, state in enumerate(State, start=2)]

    rows = failed_csv(images, [skipped(99, "empty key", sku="S-99")])[1:]

    ended = {f"KR-{line}" for line, state in enumerate(State, start=2) if state in {"failed", "refused", "cancelled"}}
    assert {row[0] for row in rows} == {*ended, "S-99"}
    assert rows[-1] == ["S-99", "skipped_row", "empty key"]


def test_a_row_whose_variants_failed_is_written_once() -> None:
    """Running the file again must not meet the same key twice."""
    variants = [image(2, State.FAILED, variant=number) for number in (1, 2, 3)]
    assert len(failed_csv(variants)[1:]) == 1


def test_a_file_that_was_exported_before_does_not_grow_more_error_columns() -> None:
    """The error columns of the last export are replaced."""
    again = image(
        2, State.REFUSED, row={"sku": "A", "_error_class": "old", "_error_message": "old"}, error_class="refused"
    )

    header, row = failed_csv([again], columns=("sku", "_error_class", "_error_message"))

    assert header == ["sku", "_error_class", "_error_message"]
    assert row == ["A", "refused", ""]
