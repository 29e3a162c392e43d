"""A model without a price is not free: it is bought from only by somebody who has said so."""

from __future__ import annotations

import pytest

from tests.integration.cli.shop import ARTICLE, Shop

FREE_OR_NOT = """\
[models.drawn]
provider = "preview"
model = "preview"
sizes = { mode = "any" }
"""
ARGUMENTS = ("products.csv", "-t", "product", "-m", "drawn")
MENDS = ("drawn", "price_usd", "models.toml", "--allow-unpriced")


@pytest.fixture
def unpriced(shop: Shop) -> Shop:
    """A shop with a model of whose price nobody has said anything."""
    shop.write("config/models.toml", FREE_OR_NOT)
    shop.write("products.csv", ARTICLE)
    return shop


@pytest.mark.parametrize("column", [False, True], ids=["for all", "for a row"])
def test_nothing_is_bought_without_a_price(unpriced: Shop, column: bool) -> None:
    """The run is refused with the model's name and both mends, and no batch is left behind."""
    if column:
        unpriced.write("products.csv", "sku,name,color,model\nA,Mug,white,preview\nB,Mug,white,drawn\n")
    ran = unpriced.call("run", *ARGUMENTS[:3], "-m", "preview" if column else "drawn")
    assert ran.returncode == 2
    words = " ".join(ran.stderr.split())
    assert all(mend in words for mend in MENDS), ran.stderr
    assert unpriced.json("status", "--all") == []


def test_a_plan_shows_the_refusal(unpriced: Shop) -> None:
    """A dry run says what the run would refuse, in text and as JSON, and fails like it."""
    told = unpriced.call("plan", *ARGUMENTS)
    assert told.returncode == 2
    words = " ".join((told.stdout + told.stderr).split())
    assert all(mend in words for mend in MENDS), words
    as_json = unpriced.call("plan", *ARGUMENTS, "--json")
    assert as_json.returncode == 2
    assert '"refusal": "drawn has no price' in as_json.stdout
    allowed = unpriced.json("plan", *ARGUMENTS, "--allow-unpriced")
    assert allowed["refusal"] is None
    assert allowed["cost"]["images_without_price"] == 3


def test_who_asks_for_it_gets_it_and_is_told(unpriced: Shop) -> None:
    """With the option the pictures are made, counted as nothing, and the status says that this is no zero."""
    ran = unpriced.call("run", *ARGUMENTS, "--allow-unpriced", "--budget", "1")
    assert ran.returncode == 0, ran.stderr
    status = unpriced.json("status")
    assert (status["spent_usd_micros"], status["models_without_price"]) == (0, ["drawn"])
    told = " ".join(unpriced.call("status").stdout.split())
    assert "drawn without a price" in told


def test_a_price_of_zero_is_a_price(shop: Shop) -> None:
    """A model that is free by its price is bought from as ever."""
    shop.write("config/models.toml", FREE_OR_NOT + "price_usd = 0\nprice_date = 2026-11-22\nprice_source = 'a test'\n")
    shop.write("products.csv", ARTICLE)
    assert shop.call("run", *ARGUMENTS).returncode == 0
    assert shop.json("status")["models_without_price"] == []
