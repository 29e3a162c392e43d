from __future__ import annotations

from pathlib import Path

import pytest

from tasks.core.errors import InputError
from tasks.core.plan import Row, RowProblem
from tasks.sources import open_rows

ARTICLE = "sku,name,color\nSKU-001,Lamp,red\nSKU-002,조명,쪽빛\n"


def write(folder: Path, content: str | bytes, name: str = "products.csv") -> Path:
    """A file with this content; text is written as UTF-8, line ends as they are."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(path: Path, **options: str | int) -> list[Row]:
    """All rows of a file that has no bad line."""
    found = list(open_rows(path, **options))  # type: ignore[arg-type]
    assert all(isinstance(row, Row) for row in found)
    return [row for row in found if isinstance(row, Row)]


def refusal(path: Path, **options: str | int) -> str:
    """What is said when the file is opened or read to its end."""
    with pytest.raises(InputError) as refused:
        list(open_rows(path, **options))  # type: ignore[arg-type]
    return str(refused.value)


def test_the_articles_file_is_read(tmp_path: Path) -> None:
    """Columns, lines and values of `sku,name,color`; what was found is told."""
    source = open_rows(write(tmp_path, ARTICLE))
    assert (source.name, source.columns, source.delimiter) == ("products.csv", ("sku", "name", "color"), ",")
    assert (source.encoding, source.notes) == ("utf-8", ())
    assert list(source) == [
        Row(2, {"sku": "SKU-001", "name": "Lamp", "color": "red"}),
        Row(3, {"sku": "SKU-002", "name": "조명", "color": "쪽빛"}),
    ]


def test_a_file_can_be_read_again(tmp_path: Path) -> None:
    """Planning and submitting may each pass over the file."""
    source = open_rows(write(tmp_path, ARTICLE))
    assert list(source) == list(source)


def test_a_path_may_be_text(tmp_path: Path) -> None:
    """As it comes from a command line."""
    assert open_rows(str(write(tmp_path, ARTICLE))).columns == ("sku", "name", "color")


class TestEncodings:
    @pytest.mark.parametrize(
        ("codec", "found"),
        [
            ("utf-8", "utf-8"),
            ("utf-8-sig", "utf-8-sig"),
            ("cp949", "cp949"),
            ("euc-kr", "cp949"),
            ("utf-16", "utf-16"),
        ],
    )
    def test_what_excel_writes_is_recognised(self, tmp_path: Path, codec: str, found: str) -> None:
        """UTF-8 with and without mark, the Korean code pages, and UTF-16."""
        path = write(tmp_path, ARTICLE.encode(codec))
        assert open_rows(path).encoding == found
        assert rows(path)[1].values == {"sku": "SKU-002", "name": "조명", "color": "쪽빛"}

    def test_utf_16_of_both_byte_orders(self, tmp_path: Path) -> None:
        """The mark decides; a quoted first name is not spoilt by it."""
        quoted = ARTICLE.replace("sku,", '"sku",')
        for order in ("utf-16-le", "utf-16-be"):
            path = write(tmp_path, ("\ufeff" + quoted).encode(order))
            assert rows(path) == rows(write(tmp_path, ARTICLE, "plain.csv"))

    def test_hangul_beyond_euc_kr_is_read(self, tmp_path: Path) -> None:
        """CP949 has syllables that EUC-KR lacks, as in 똠얌."""
        assert rows(write(tmp_path, "sku,name\n1,똠얌\n".encode("cp949")))[0].values["name"] == "똠얌"

    def test_an_encoding_can_be_asked_for(self, tmp_path: Path) -> None:
        """`--encoding` overrides what would be found."""
        path = write(tmp_path, "sku,name\n1,café\n".encode("latin-1"))
        assert rows(path, encoding="latin-1")[0].values["name"] == "café"
        assert open_rows(path, encoding="latin-1").encoding == "iso8859-1"

    def test_asking_for_utf_8_tolerates_a_mark(self, tmp_path: Path) -> None:
        """The mark never becomes a part of the first column's name."""
        path = write(tmp_path, ARTICLE.encode("utf-8-sig"))
        assert open_rows(path, encoding="UTF8").columns[0] == "sku"

    @pytest.mark.parametrize("encoding", ["klingon", "hex", "undefined"])
    def test_an_unknown_encoding_is_refused(self, tmp_path: Path, encoding: str) -> None:
        """Codecs that are none for text included."""
        assert f"--encoding {encoding}: there is no such" in refusal(write(tmp_path, ARTICLE), encoding=encoding)

    def test_undecodable_bytes_name_file_line_and_byte(self, tmp_path: Path) -> None:
        """The encoding that came furthest is blamed, and the mend is told."""
        path = write(tmp_path, "sku,name\n1,조명\n2,램프\n3,".encode() + b"\xff\xfe\n")
        said = refusal(path)
        assert "products.csv, line 4: byte 0xFF (number 30 of the file) is not UTF-8 text" in said
        assert "save the file as CSV UTF-8" in said

    def test_undecodable_bytes_are_found_across_chunks(self, tmp_path: Path) -> None:
        """A large file is decoded in pieces: a character on the border is fine, and lines count on."""
        good = "sku,name\n" + "1,조명입니다\n" * 150_000
        path = write(tmp_path, good.encode())
        assert open_rows(path).encoding == "utf-8"
        path = write(tmp_path, good.encode() + b"2,\xc3\n")
        assert f"line 150002: byte 0xC3 (number {len(good.encode()) + 3} of the file)" in refusal(path)

    def test_what_was_asked_for_is_checked(self, tmp_path: Path) -> None:
        """An encoding that does not fit is refused, not replaced by question marks."""
        assert "is not ASCII text" in refusal(write(tmp_path, ARTICLE), encoding="ascii")

    def test_utf_16_without_a_mark_is_said(self, tmp_path: Path) -> None:
        """Zero bytes are no text in UTF-8; the encoding can be named."""
        path = write(tmp_path, ARTICLE.encode("utf-16-le"))
        assert "--encoding utf-16-le" in refusal(path)
        assert len(rows(path, encoding="utf-16-le")) == 2

    @pytest.mark.parametrize(("start", "says"), [(b"PK\x03\x04", "name it .xlsx"), (b"\xd0\xcf\x11\xe0", "old Excel")])
    def test_workbooks_in_disguise_are_recognised(self, tmp_path: Path, start: bytes, says: str) -> None:
        """A workbook called .csv is not read as text."""
        assert says in refusal(write(tmp_path, start + b"..."))


class TestDelimiters:
    @pytest.mark.parametrize(
        ("content", "delimiter"),
        [
            ("sku,name\n1,a;b\n", ","),
            ("sku;name\n1;a,b\n", ";"),
            ("sku\tname\n1\ta,b;c\n", "\t"),
            ('sku;"name, long, very"\n1;a\n', ";"),
            ("sku\n1\n", ","),
        ],
    )
    def test_the_header_line_decides(self, tmp_path: Path, content: str, delimiter: str) -> None:
        """The most frequent outside quotes; a comma for a single column."""
        assert open_rows(write(tmp_path, content)).delimiter == delimiter

    def test_tsv_means_tabs(self, tmp_path: Path) -> None:
        """The name of the file decides, whatever stands in the header."""
        source = open_rows(write(tmp_path, "sku\tname, long, very\n1\ta\n", "products.TSV"))
        assert source.columns == ("sku", "name, long, very")


class TestLines:
    def test_lines_are_those_of_the_file(self, tmp_path: Path) -> None:
        """Line breaks in quotes and blank lines count, so that an editor finds the row."""
        path = write(tmp_path, '\r\nsku,name\r\n1,"two\r\nlines"\r\n\r\n2,b\r\n')
        assert [(row.line, row.values["name"]) for row in rows(path)] == [(3, "two\r\nlines"), (6, "b")]

    def test_blank_rows_are_dropped_and_counted(self, tmp_path: Path) -> None:
        """Excel leaves rows of commas behind; spaces and invisible characters are blank too."""
        path = write(tmp_path, "sku,name\n1,a\n,\n\u00a0,\u200b\n\n2,b\n")
        source = open_rows(path)
        assert [row.line for row in source] == [2, 6]
        assert source.notes == ("3 blank rows dropped",)
        list(source)
        assert source.notes == ("3 blank rows dropped",)

    def test_one_blank_row_is_one(self, tmp_path: Path) -> None:
        """Grammar."""
        source = open_rows(write(tmp_path, "sku\n1\n\n2\n"))
        list(source)
        assert source.notes == ("1 blank row dropped",)

    def test_a_limit_takes_the_first_rows(self, tmp_path: Path) -> None:
        """Blank ones are not counted; a limit beyond the end takes all."""
        path = write(tmp_path, "sku\n1\n\n2\n3\n")
        assert [row.values["sku"] for row in rows(path, limit=2)] == ["1", "2"]
        assert len(rows(path, limit=99)) == 3

    def test_a_limit_below_one_is_refused(self, tmp_path: Path) -> None:
        """Zero rows are no job."""
        assert "take at least 1 row" in refusal(write(tmp_path, ARTICLE), limit=0)


class TestCells:
    def test_values_and_names_are_cleaned(self, tmp_path: Path) -> None:
        """NFC, no zero-width characters, no-break spaces trimmed at the ends and plain inside."""
        path = write(tmp_path, "\u00a0SKU \u200b,상품명\nA\u200b-1\u00a0,  a\u00a0b\u3000\n")
        assert rows(path)[0].values == {"SKU": "A-1", "상품명": "a b"}

    def test_missing_cells_are_empty(self, tmp_path: Path) -> None:
        """A row that ends early has empty values."""
        assert rows(write(tmp_path, "sku,name,color\n1\n"))[0].values == {"sku": "1", "name": "", "color": ""}

    def test_surplus_empty_cells_are_nothing(self, tmp_path: Path) -> None:
        """Commas at the end of a line are no problem."""
        assert rows(write(tmp_path, "sku,name\n1,a,,\n"))[0].values == {"sku": "1", "name": "a"}

    def test_surplus_values_are_a_problem_of_the_row(self, tmp_path: Path) -> None:
        """An unquoted comma is named with its line; the other rows go on."""
        first, second = open_rows(write(tmp_path, "sku,name\n1,a,,b\n2,c\n"))
        assert isinstance(first, RowProblem)
        assert (first.line, first.value, first.values) == (2, "b", {"sku": "1", "name": "a"})
        assert first.message == "the row has 4 cells and there are 2 columns"
        assert second == Row(3, {"sku": "2", "name": "c"})

    def test_quotes_inside_cells_are_text(self, tmp_path: Path) -> None:
        """Doubled in quotes, single outside of them."""
        path = write(tmp_path, 'sku,name\n1,"27"" monitor"\n2,27" monitor\n')
        assert [row.values["name"] for row in rows(path)] == ['27" monitor', '27" monitor']

    def test_open_quotes_are_refused(self, tmp_path: Path) -> None:
        """Otherwise the rest of the file would disappear into one cell."""
        said = refusal(write(tmp_path, 'sku,name\n1,a\n2,"b\n3,c\n'))
        assert said.startswith("products.csv, line 3: the quotes of the record that begins here do not match")

    def test_text_after_a_quoted_cell_is_refused(self, tmp_path: Path) -> None:
        """A quote that was not doubled."""
        assert "line 2: the quotes" in refusal(write(tmp_path, 'sku,name\n1,"27" monitor"\n'))


class TestHeaders:
    @pytest.mark.parametrize("header", ["sku,name,sku", "sku,name,SKU ", "\u200bsku,name,sku"])
    def test_two_columns_of_one_name_are_refused(self, tmp_path: Path, header: str) -> None:
        """Nobody can know which one is meant."""
        said = refusal(write(tmp_path, f"{header}\n1,a,2\n"))
        assert "products.csv, line 1: columns 1 and 3 are both called" in said

    def test_empty_columns_without_a_name_are_ignored(self, tmp_path: Path) -> None:
        """Excel exports them beside the table."""
        path = write(tmp_path, "sku,,name,,\n1,,a,,\n2\n")
        assert open_rows(path).columns == ("sku", "name")
        assert [row.values for row in rows(path)] == [{"sku": "1", "name": "a"}, {"sku": "2", "name": ""}]

    def test_values_without_a_name_are_refused(self, tmp_path: Path) -> None:
        """A value in a nameless column says where it stands."""
        said = refusal(write(tmp_path, "sku,,name\n1,,a\n2,x,b\n"))
        assert said.startswith("products.csv, line 3: column 2 has the value 'x' and no name")


class TestNothingToRead:
    @pytest.mark.parametrize("content", ["", "\n\n", " , \n", "\ufeff"])
    def test_an_empty_file(self, tmp_path: Path, content: str) -> None:
        """Nothing, or nothing but blanks."""
        assert "products.csv is empty; the first line names the columns" in refusal(write(tmp_path, content))

    @pytest.mark.parametrize("content", ["sku,name", "sku,name\n,\n"])
    def test_a_header_alone(self, tmp_path: Path, content: str) -> None:
        """It is said when the file is opened."""
        with pytest.raises(InputError, match=r"products\.csv has column names and no rows"):
            open_rows(write(tmp_path, content))

    def test_no_file(self, tmp_path: Path) -> None:
        """A wrong name."""
        assert "there is no file" in refusal(tmp_path / "nowhere.csv")

    def test_a_folder(self, tmp_path: Path) -> None:
        """A folder is no file."""
        assert "is a folder" in refusal(tmp_path)

    def test_a_name_that_the_system_refuses(self, tmp_path: Path) -> None:
        """Any other trouble of the system is told in its words."""
        assert "cannot be read: File name too long" in refusal(tmp_path / ("x" * 300 + ".csv"))

    def test_another_kind_of_file(self, tmp_path: Path) -> None:
        """The suffix must be known."""
        assert "products.pdf is none of .csv" in refusal(write(tmp_path, "x", "products.pdf"))
