"""Rows as somebody sends them, on their way to a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import InputError
from tasks.settings import load_settings
from tasks.web.http import Refused, Request
from tasks.web.uploads import received

CSV = b"sku,name\nA-1,\xeb\xa8\xb8\xea\xb7\xb8\n"


@pytest.fixture
def small(tmp_path: Path) -> Any:
    """Settings of a site that takes a megabyte."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "imagechord.toml").write_text("max_upload_megabytes = 1\n")
    return load_settings({}, tmp_path)


def request(body: bytes, kind: str, query: str = "") -> Request:
    """A POST whose body comes without a word of its length."""
    return Request("POST", {"content-type": kind}, io.BytesIO(body).read, query=query)


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    """One field of a form."""
    disposition = f'form-data; name="{name}"' + ("" if filename is None else f'; filename="{filename}"')
    return b"--b\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\n" + value + b"\r\n"


def form(*parts: bytes) -> Request:
    """A whole form."""
    return request(b"".join(parts) + b"--b--\r\n", "multipart/form-data; boundary=b")


@pytest.mark.parametrize(
    ("sent_as", "kept_as"),
    [
        ("products.csv", "products.csv"),
        ("C:\\shop\\제품.XLSX", "제품.XLSX"),
        ("../../etc/cron.d/x", "x.csv"),
        ("-", "-.csv"),
        ("..", "rows.csv"),
        ("a\0\nb.tsv", "ab.tsv"),
        ("한" * 300 + ".csv", "한" * 50 + ".csv"),
    ],
)
def test_a_file_keeps_its_name_and_no_more(small: Any, sent_as: str, kept_as: str) -> None:
    """The last part of it, in a length that disks take; it lies alone in a folder that is gone afterwards."""
    with received(small, form(part("template", b"product"), part("source", CSV, sent_as))) as (path, options):
        assert path.name == kept_as
        assert path.read_bytes() == CSV
        assert list(path.parent.iterdir()) == [path]
        assert options == {"template": "product"}
    assert not path.parent.exists()


def test_a_form_is_taken_apart_as_it_comes(small: Any) -> None:
    """Whatever the pieces are; options become what they are meant as, and the host's own field is none."""
    whole = (
        part("csrf_token", b"the-host's")
        + part("variants", b"2")
        + part("source", CSV * 100, "a.csv")
        + part("hold_publish", b"true")
        + part("column_map", b'{"color": "colour"}')
        + b"--b--\r\n"
    )
    dripping = io.BytesIO(whole)
    sent = Request("POST", {"content-type": "multipart/form-data; boundary=b"}, lambda _: dripping.read(7))
    with received(small, sent) as (path, options):
        assert path.read_bytes() == CSV * 100
        assert options == {"variants": 2, "hold_publish": True, "column_map": {"color": "colour"}}


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (form(part("template", b"product")), "the form has no file"),
        (form(part("source", b"/etc/passwd")), "the form has no file"),
        (form(part("source", b"", "")), "the form has no file"),
        (form(part("source", CSV, "a.csv"), part("source", CSV, "b.csv")), "several files"),
        (form(part("source", CSV, "a.csv"), part("template", b"x" * 65_537)), "a field of more than"),
        (form(part("source", CSV, "a.csv"), part("template", b"\xff")), "cannot be read"),
        (form(part("source", CSV, "a.csv"), part("encodign", b"x")), "there is no option 'encodign'"),
        (form(*[part("x", b"")] * 101), "cannot be read"),
        (request(part("source", CSV, "a.csv"), "multipart/form-data; boundary=b"), "cannot be read"),
        (request(b"", "multipart/form-data"), "cannot be read"),
        (request(CSV, "text/csv", "source=s3://a/b.csv"), "there is no option 'source'"),
        (request(b"{", "application/json"), "not valid JSON"),
        (request(b"[1]", "application/json"), 'no "rows"'),
        (request(b'{"rows": []}', "application/json"), 'no "rows"'),
        (request(b'{"rows": [{}], "source": "s3://a/b.csv"}', "application/json"), "there is no option 'source'"),
    ],
)
def test_what_cannot_be_meant_is_said(small: Any, sent: Request, words: str) -> None:
    """A file of the server's, half a form, JSON that is none."""
    with pytest.raises(InputError, match=words), received(small, sent):
        pass


@pytest.mark.parametrize("kind", ["text/csv", "application/json", "multipart/form-data; boundary=b"])
def test_too_much_is_refused_before_it_has_all_come(small: Any, kind: str) -> None:
    """However it comes, and though it says nothing of its length."""
    body = io.BytesIO(part("source", b"x" * 3_000_000, "a.csv"))
    sent = Request("POST", {"content-type": kind}, body.read)
    with pytest.raises(Refused) as raised, received(small, sent):
        pass
    assert raised.value.status == 413
    assert body.tell() <= 1_300_000


def test_a_kind_that_holds_no_rows_is_not_read(small: Any) -> None:
    """415, with those that do."""
    body = io.BytesIO(CSV)
    with pytest.raises(Refused, match="text/csv") as raised, received(small, Request("POST", {}, body.read)):
        pass
    assert raised.value.status == 415
    assert body.tell() == 0


def test_numbers_stay_as_they_are_written(small: Any) -> None:
    """A price of 1.10 is no 1.1, in a row or in a budget."""
    sent = b'{"rows": [{"sku": "A", "price": 1.10}, {"sku": "B"}], "budget_usd": 2.50, "limit": 1}'
    with received(small, request(sent, "application/json")) as (rows, options):
        assert rows == [{"sku": "A", "price": "1.10"}, {"sku": "B"}]
        assert options == {"budget_usd": "2.50", "limit": 1}
