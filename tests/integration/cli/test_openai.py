"""`imagechord run` with a model from its maker: the key, the call over OpenAI's SDK in a real worker, and the bill."""

from __future__ import annotations

from tests.integration.cli.shop import ARTICLE, Shop
from tests.stand_ins.openai_api import COST_USD_MICROS, OpenAIApi

FLARE = ("--template", "product_hero_en", "--model", "gpt-image-2.5-flare")


def test_pictures_from_openai_are_published_and_billed_by_their_tokens(shop: Shop) -> None:
    """Three rows, three paid requests in the model's own words, and the answers' usage as the money spent."""
    shop.write("products.csv", ARTICLE)
    shop.write("config/models.toml", '[models."gpt-image-2.5-flare".limits]\nper_minute = 6000\n')
    with OpenAIApi() as api:
        shop.environment |= {"OPENAI_API_KEY": "sk-of-the-shop", "OPENAI_BASE_URL": api.openai_url}
        ran = shop.call("run", "products.csv", *FLARE)
    assert ran.returncode == 0, ran.stderr
    assert [sent.json()["size"] for sent in api.paid] == ["1024x1024"] * 3
    assert {(sent.json()["model"], sent.json()["quality"]) for sent in api.paid} == {("gpt-image-2.5-flare", "medium")}
    assert {sent.headers["Authorization"] for sent in api.paid} == {"Bearer sk-of-the-shop"}
    status = shop.json("status")
    assert (status["counts"]["published"], status["spent_usd_micros"]) == (3, 3 * COST_USD_MICROS)


def test_without_a_key_nothing_is_started(shop: Shop) -> None:
    """The variable is named before anything is planned to be paid for."""
    shop.write("products.csv", ARTICLE)
    ran = shop.call("run", "products.csv", *FLARE)
    assert ran.returncode == 2
    assert "OPENAI_API_KEY" in ran.stderr
