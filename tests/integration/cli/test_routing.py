"""Which model makes a picture, at what price: fallbacks and retirement, as the commands tell of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.cli.shop import ARTICLE, Shop

CHAIN = """\
[models.poor]
provider = "tests.stand_ins.poor_provider:PoorProvider"
model = "poor-1"
price_usd = 0.02
price_date = 2026-11-01
price_source = "a price list"
surcharge_percent = 15
fallback = ["drawn"]

[models.drawn]
provider = "preview"
model = "preview"
price_usd = 0.03
price_date = 2026-11-02
price_source = "another list"
"""
ARGUMENTS = ("products.csv", "-t", "product", "-m")


@pytest.fixture
def routed(shop: Shop) -> Shop:
    """A shop with a model that has a fallback."""
    shop.write("config/models.toml", CHAIN)
    shop.write("products.csv", ARTICLE)
    return shop


def words(text: str) -> str:
    """Without the line breaks of a terminal."""
    return " ".join(text.split())


def test_a_plan_tells_the_prices_of_the_whole_chain(routed: Shop) -> None:
    """Whose model it is, the dated list price, what bills run above it; at worst every try of both is paid."""
    told = words(routed.call("plan", *ARGUMENTS, "poor").stdout)
    assert "$0.02 a picture, and bills run 15 % above that (2026-11-01, a price list)" in told
    assert "else drawn, by preview: $0.03 a picture (2026-11-02, another list)" in told
    plan = routed.json("plan", *ARGUMENTS, "poor")
    assert plan["fallbacks"] == {"poor": ["drawn"]}
    assert [(each["model"], each["provider"], each["list_price_usd"]) for each in plan["prices"]] == [
        ("poor", "tests.stand_ins.poor_provider:PoorProvider", "0.02"),
        ("drawn", "preview", "0.03"),
    ]
    first, second = (each["price_usd_micros"] for each in plan["prices"])
    assert plan["cost"]["low_usd_micros"] == 3 * first
    assert plan["cost"]["high_usd_micros"] == 3 * 3 * (first + second)


def test_models_tell_what_they_can_do(routed: Shop) -> None:
    """Capabilities of the provider, the surcharge, and the chain."""
    models = {model["alias"]: model for model in routed.json("models")["models"]}
    assert models["poor"]["capabilities"]["seed"] is True
    assert (models["poor"]["surcharge_percent"], models["poor"]["fallback"]) == (15.0, ["drawn"])
    assert models["drawn"]["capabilities"]["formats"] == ["jpeg"]
    told = words(routed.call("models").stdout)
    assert "Can do seed, jpeg, png, webp" in told
    assert "Fallback poor → drawn" in told


def test_a_provider_that_cannot_be_imported_is_no_reason_to_say_nothing(routed: Shop) -> None:
    """The other models are listed, and what is known of this one."""
    routed.write("config/models.toml", CHAIN.replace("poor_provider", "no_provider"))
    models = {model["alias"]: model for model in routed.json("models")["models"]}
    assert models["poor"]["capabilities"]["formats"] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("price_usd = 0.03\n", ""), "drawn has no price"),
        (('fallback = ["drawn"]', 'fallback = ["drawm"]'), "'drawm' is not another model"),
    ],
)
def test_a_fallback_is_refused_like_any_model(routed: Shop, change: tuple[str, str], said: str) -> None:
    """Without a price, or unknown, nothing is started."""
    routed.write("config/models.toml", CHAIN.replace(*change))
    ran = routed.call("run", *ARGUMENTS, "poor")
    assert ran.returncode == 2
    assert said in words(ran.stderr)


def test_rehearsal_pictures_do_not_reach_a_shop_by_a_fallback(routed: Shop) -> None:
    """A model that falls back on cards is refused where there is a CMS."""
    routed.environment["CMS_URL"] = "http://127.0.0.1:9"
    ran = routed.call("run", *ARGUMENTS, "poor")
    assert ran.returncode == 2
    assert "--rehearse-delivery" in ran.stderr


def test_a_run_goes_on_with_the_fallback_and_says_so(routed: Shop) -> None:
    """All pictures are published; the summary, the status and the history tell who made them instead of whom."""
    routed.write("config/imagechord.toml", 'language = "en"\n')
    ran = routed.call("run", *ARGUMENTS, "poor")
    assert ran.returncode == 0, ran.stderr
    assert "3 by drawn instead of poor (3 succeeded)" in words(ran.stdout).replace("`", "")
    status = routed.json("status")
    assert status["fallbacks"] == [{"asked": "poor", "model": "drawn", "images": 3, "published": 3}]
    assert [(hold["model"], hold["falls_back"]) for hold in status["holds"]] == [("poor", True)]
    told = words(routed.call("status").stdout)
    assert "3 by drawn instead of poor (3 published)" in told
    assert "its pictures go on with a fallback: no credit left for poor-1" in told
    history = routed.json("show", "MUG-014")
    assert (history["pictures"][0]["model"], history["pictures"][0]["asked_model"]) == ("drawn", "poor")
    assert [was["fell_back_to"] for was in history["retried"]] == ["drawn"]
    told = words(routed.call("show", "MUG-014").stdout)
    assert "drawn instead of poor" in told
    assert "went on with drawn" in told


def retiring(shop: Shop, days: int, alias: str = "drawn") -> None:
    """The model is switched off in so many days."""
    day = datetime.now(UTC).date() + timedelta(days=days)
    head = f"[models.{alias}]\n"
    shop.write("config/models.toml", CHAIN.replace(head, f"{head}retires = {day}\n"))


def test_what_retires_soon_is_warned_of(routed: Shop) -> None:
    """Plan, run, models and doctor name the day, and go on."""
    retiring(routed, 40)
    for arguments in (("plan", *ARGUMENTS, "drawn"), ("run", *ARGUMENTS, "drawn"), ("models",), ("doctor",)):
        ran = routed.call(*arguments)
        assert ran.returncode == 0, ran.stderr
        assert "drawn retires on" in words(ran.stdout + ran.stderr), arguments


def test_a_fallback_that_has_retired_is_warned_of(routed: Shop) -> None:
    """It will be passed over; the model itself is as good as ever."""
    retiring(routed, -1)
    ran = routed.call("plan", *ARGUMENTS, "poor")
    assert ran.returncode == 0
    assert "drawn was retired on" in words(ran.stdout + ran.stderr)


def test_what_has_retired_is_refused(routed: Shop) -> None:
    """Nothing is started, and another model is named; what is bought already is not refused."""
    assert routed.call("run", *ARGUMENTS, "drawn").returncode == 0
    retiring(routed, 0)
    assert routed.call("plan", *ARGUMENTS, "drawn").returncode == 0
    routed.write("products.csv", ARTICLE + "NEW-1,New,red\n")
    plan = routed.call("plan", *ARGUMENTS, "drawn")
    assert plan.returncode == 2
    assert "drawn was retired on" in words(plan.stderr)
    assert "another --model" in words(plan.stdout + plan.stderr)
    ran = routed.call("run", *ARGUMENTS, "drawn")
    assert ran.returncode == 2
    assert "drawn was retired on" in words(ran.stderr)
    assert len(routed.json("status", "--all")) == 1


@pytest.mark.parametrize(("uses", "code"), [("", 0), ('uses = ["bulk"]\n', 2)])
def test_doctor_is_worried_about_what_a_run_may_take(routed: Shop, uses: str, code: int) -> None:
    """A retired model is bad when a use chooses it; else only who names it meets the refusal."""
    retiring(routed, -1)
    models = routed.folder / "config" / "models.toml"
    models.write_text(models.read_text().replace("[models.drawn]\n", f"[models.drawn]\n{uses}"))
    ran = routed.call("doctor")
    assert ran.returncode == code, ran.stdout
    assert "drawn was retired on" in words(ran.stdout)
