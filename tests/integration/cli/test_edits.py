"""What the commands say about pictures to start from, and about several of one row."""

from __future__ import annotations

from tests.integration.cli.shop import Shop
from tests.stand_ins.anycap_api import paint

SHEET = "sku,name,color,reference\nA-1,Mug,red,photos/front.png\nA-2,Mug,blue,{}\n"


def sheet(shop: Shop, second: str) -> None:
    """Two rows; the first one's picture is there."""
    shop.write("products.csv", SHEET.format(second))
    (shop.folder / "photos").mkdir()
    (shop.folder / "photos" / "front.png").write_bytes(paint("front", 32, 32))


def test_plan_shows_them(shop: Shop) -> None:
    """Which pictures a row starts from, how many there are, and how many pictures each row gets."""
    sheet(shop, "photos/front.png")
    arguments = ("plan", "products.csv", "-t", "product", "--use", "edit", "--variants", "2")
    planned = shop.json(*arguments)
    assert (planned["images"], planned["references"], planned["problems"]) == (4, 1, [])
    (reference,) = planned["first_prompts"][0]["references"]
    assert reference["name"] == "photos/front.png"
    said = shop.call(*arguments).stdout
    assert "2 rows, 4 pictures" in said
    assert "1 picture, in column 'reference'" in said
    assert f"from photos/front.png, {reference['sha256'][:12]}" in said


def test_plan_says_what_is_missing(shop: Shop) -> None:
    """By line and column, and what mends it; likewise a model that does not edit."""
    sheet(shop, "photos/back.png")
    ran = shop.call("plan", "products.csv", "-t", "product", "--use", "edit")
    said = " ".join(ran.stderr.split())
    assert ran.returncode == 2
    assert "line 3, column 'reference', value 'photos/back.png': there is no file" in said
    said = " ".join(shop.call("plan", "products.csv", "-t", "product").stderr.split())
    assert "nano-banana-2 takes no pictures to start from" in said
    assert "or --use edit" in said


def test_a_row_gets_the_number_that_was_asked_for(shop: Shop) -> None:
    """`run --variants` makes so many, each published under a name of its own."""
    shop.write("products.csv", "sku,name,color\nA-1,Mug,red\n")
    ran = shop.call("run", "products.csv", "-t", "product", "-m", "preview", "--variants", "3")
    assert ran.returncode == 0, ran.stderr
    pictures = shop.json("show", "A-1")["pictures"]
    assert [picture["variant"] for picture in pictures] == [1, 2, 3]
    assert len({picture["output_key"] for picture in pictures}) == 3
    assert shop.call("run", "products.csv", "-t", "product", "--variants", "11").returncode == 2
