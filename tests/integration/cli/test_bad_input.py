"""What a person is told who gives the command something it cannot use."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.integration.cli.shop import ARTICLE, Shop

HEADER = "sku,name,color\n"


@dataclass(frozen=True)
class Bad:
    """A file, the arguments after its name, and what the message must hold: file, line, value and mend."""

    text: str | bytes | None
    told: tuple[str, ...]
    arguments: tuple[str, ...] = ("-t", "product", "-m", "preview")
    name: str = "products.csv"


BAD = {
    "no such file": Bad(None, ("no file", "products.csv", "check the name")),
    "an empty file": Bad("", ("products.csv", "is empty", "sku,name,color")),
    "only a header": Bad(HEADER, ("products.csv", "no rows", "add a row")),
    "a wrong encoding": Bad(
        "sku,name,color\nA,머그,흰\n".encode() + b"B,\xff\xff,x\n", ("products.csv", "line 3", "0xFF", "--encoding")
    ),
    "an encoding that is none": Bad(
        ARTICLE, ("--encoding klingon", "cp949"), ("-t", "product", "-m", "preview", "--encoding", "klingon")
    ),
    "a workbook named csv": Bad(b"PK\x03\x04....", ("products.csv", "Excel workbook", ".xlsx")),
    "an unknown ending": Bad(ARTICLE, ("products.pdf", ".csv"), name="products.pdf"),
    "a missing column": Bad("sku,title_of_it,color\nA,Mug,white\n", ("{name}", "'title_of_it'", "--map name=COLUMN")),
    "no column for the key": Bad("number,name,color\n1,Mug,white\n", ("sku", "'number'", "--map sku=COLUMN")),
    "an unknown template": Bad(ARTICLE, ("'produkt'", "did you mean 'product'"), ("-t", "produkt", "-m", "preview")),
    "no template": Bad(ARTICLE, ("which template", "--template", "product_hero"), ("-m", "preview")),
    "an unknown model": Bad(ARTICLE, ("'nano-banana-3'", "nano-banana-2"), ("-t", "product", "-m", "nano-banana-3")),
    "a use that is none": Bad(ARTICLE, ("'heroic'", "hero"), ("-t", "product", "--use", "heroic")),
    "a map that is none": Bad(ARTICLE, ("--map 'name'", "FIELD=COLUMN"), ("-t", "product", "--map", "name")),
    "a map to no column": Bad(ARTICLE, ("'nmae'", "did you mean 'name'"), ("-t", "product", "--map", "name=nmae")),
    "a budget that is none": Bad(
        ARTICLE, ("'ten'", "US dollars", "12.50"), ("-t", "product", "-m", "preview", "--budget", "ten")
    ),
    "quotes without an end": Bad(HEADER + 'A,"Mug,white\nB,Cup,red\n', ("products.csv", "line 2", "quote")),
}


@pytest.mark.parametrize("bad", [pytest.param(bad, id=name) for name, bad in BAD.items()])
def test_bad_input_is_explained_and_nothing_is_started(bad: Bad, shop: Shop) -> None:
    """The message names what is wrong, where, and the mend; there is no traceback, no file, and exit code 2."""
    if bad.text is not None:
        path = shop.folder / bad.name
        path.write_bytes(bad.text if isinstance(bad.text, bytes) else bad.text.encode())
    before = shop.files()

    ran = shop.call("run", bad.name, *bad.arguments)

    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stderr.startswith("error:")
    told = " ".join(ran.stderr.split())
    assert [part for part in bad.told if part not in told] == []
    assert shop.files() == before


def test_a_folder_is_no_file_of_rows(shop: Shop) -> None:
    """A folder is named as such, by run and by plan, on the first run and when there is a ledger."""
    (shop.folder / "rows.csv").mkdir()

    for command in ("run", "plan"):
        ran = shop.call(command, "rows.csv", "-t", "product", "-m", "preview")
        assert (ran.returncode, "is a folder" in ran.stderr, "Traceback" in ran.stderr) == (2, True, False)


def test_a_missing_file_is_explained_beside_a_ledger_too(rehearsed: Shop) -> None:
    """Looking for an unfinished batch of the same rows does not trip over rows that are not there."""
    ran = rehearsed.call("run", "gone.csv", "-t", "product", "-m", "preview")

    assert ran.returncode == 2
    assert "there is no file gone.csv" in ran.stderr
    assert "Traceback" not in ran.stderr


BAD_ROWS = (
    ("A,,white,,", ("column 'name'", "{name}", "has no value", "Fill the cell")),
    (",Mug,white,,", ("column 'sku'", "the key is empty")),
    ("8.80123E+12,Mug,white,,", ("'8.80123E+12'", "Excel has turned this key into a rounded number", "as text")),
    ("../x,Mug,white,,", ("'../x'", "leave its folder")),
    ("/etc/passwd,Mug,white,,", ("'/etc/passwd'", "an absolute path")),
    ("B,Mug,white,dall-e,", ("column 'model'", "'dall-e'", "known are", "nano-banana-2")),
    (f"C,{'x' * 5000},white,nano-banana-2,", ("the prompt has 5,", "nano-banana-2 takes 4,000", "Shorten")),
    ("D,Mug,white,,huge", ("column 'size'", "'huge'", "write it like 1024x1024")),
    ("E,Mug,white,,9x9", ("'9x9'", "each side is 16 to 8192 pixels")),
    ("F,Mug, with handle,white,,x", ("6 cells and there are 5 columns", "Quote")),
    ("G,Mug,white,,", ()),
    ("H,Mug,white,,", ()),
    ("G,Pot,black,,", ("'G'", "line 12")),
)
"""Rows of ``sku,name,color,model,size``, and what is told of each beside its line."""


def test_every_bad_row_is_reported_at_once(shop: Shop) -> None:
    """A person mends a file once: every row with its line, column, value and mend, and nothing is started."""
    shop.write("products.csv", "sku,name,color,model,size\n" + "".join(f"{row}\n" for row, _told in BAD_ROWS))

    ran = shop.call("run", "products.csv", "-t", "product", "-m", "preview")

    assert ran.returncode == 2
    assert "11 of 13 rows cannot be used, nothing was started" in ran.stderr
    lines = ran.stderr.splitlines()
    for number, (_row, told) in enumerate(BAD_ROWS, start=2):
        reported = " ".join(line for line in lines if f"• line {number}," in line or f"• line {number}:" in line)
        assert bool(reported) == bool(told), reported
        assert [part for part in told if part not in reported] == [], reported
    assert shop.files() == {"products.csv"}


def test_debug_shows_the_traceback_wherever_it_stands(shop: Shop) -> None:
    """--debug may be written before or after the command."""
    for arguments in (
        ("--debug", "plan", "gone.csv", "-t", "product"),
        ("plan", "gone.csv", "-t", "product", "--debug"),
    ):
        ran = shop.call(*arguments)
        assert ran.returncode != 0
        assert "Traceback" in ran.stderr
        assert "InputError" in ran.stderr


def test_an_option_that_is_none_is_a_usage_error(shop: Shop) -> None:
    """Slips in options and commands are exit code 2 as well."""
    assert shop.call("run", "--colour").returncode == 2
    assert shop.call("rnu").returncode == 2
    assert shop.call("run", "products.csv", "--limit", "0").returncode == 2


@pytest.mark.parametrize("command", ["status", "show X", "watch", "report", "export"])
def test_without_a_ledger_nothing_is_made_to_be_looked_at(command: str, shop: Shop) -> None:
    """Looking for a batch in the wrong folder says so, and leaves the folder as it was."""
    ran = shop.call(*command.split())

    assert ran.returncode == 2
    assert "there is no ledger yet" in ran.stderr
    assert shop.files() == set()


def test_a_broken_configuration_names_file_and_key(shop: Shop) -> None:
    """An overlay with a slip in it stops every command with the file, the table and the nearest setting."""
    shop.write("config/models.toml", "[models.preview]\nprize_usd = 1\n")

    ran = shop.call("models")

    assert ran.returncode == 2
    assert "models.toml: [models.preview]: prize_usd is not a setting; did you mean price_usd?" in ran.stderr
