from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tasks.core.catalogue import Limits, ModelSpec
from tasks.core.cost import CostEstimate, cost_table, estimate_cost, estimate_seconds, manual_cost, won
from tasks.core.preferences import ManualDesign, Preferences

USD = 1_000_000


def model(**settings: Any) -> ModelSpec:
    """A model at the article's price of Nano Banana 2, with settings put in."""
    return ModelSpec(**{"alias": "m", "provider": "p", "model": "m", "price_usd": Decimal("0.005")} | settings)


def test_an_estimate_goes_from_list_price_to_every_last_try() -> None:
    """Low is the list price, expected 3 % more, high every image at its third call."""
    assert estimate_cost(1000, model(), Preferences()) == CostEstimate(5 * USD, 5_150_000, 15 * USD)


def test_a_surcharge_counts_wherever_money_does() -> None:
    """$0.0336 with 15 % of thoughts is $0.03864: what is reserved, and what every estimate begins with."""
    thinking = model(price_usd=Decimal("0.0336"), surcharge_percent=15)
    assert (thinking.list_price_usd_micros, thinking.price_usd_micros) == (33_600, 38_640)
    assert estimate_cost(1000, thinking, Preferences()).low == 38_640_000
    assert model(surcharge_percent=0.5).price_usd_micros == 5_025
    unpriced = model(price_usd=None, surcharge_percent=15)
    assert unpriced.list_price_usd_micros is unpriced.price_usd_micros is None


def test_the_expected_cost_never_passes_the_highest() -> None:
    """With one attempt there is nothing to try again."""
    assert estimate_cost(1000, model(), Preferences(max_attempts=1)) == CostEstimate(5 * USD, 5 * USD, 5 * USD)


def test_a_model_without_a_price_is_counted_apart() -> None:
    """An unknown price is not nothing."""
    assert estimate_cost(7, model(price_usd=None), Preferences()) == CostEstimate(unpriced=7)
    assert estimate_cost(7, model(price_usd=0), Preferences()) == CostEstimate()


def test_at_worst_the_fallbacks_are_paid_in_vain_too() -> None:
    """Every try of the model and of each of its fallbacks; one without a price adds nothing that is known."""
    fallbacks = [model(price_usd=Decimal("0.015")), model(price_usd=None)]
    assert estimate_cost(1000, model(), Preferences(), fallbacks) == CostEstimate(5 * USD, 5_150_000, 60 * USD)


def test_estimates_add_up() -> None:
    """Costs of several models are summed part by part."""
    assert CostEstimate(1, 2, 3, 4) + CostEstimate(10, 20, 30, 40) == CostEstimate(11, 22, 33, 44)


@pytest.mark.parametrize(
    ("images", "limits", "concurrency", "seconds"),
    [
        (100, Limits(), 10, 100.0),
        (100, Limits(in_flight=5), 10, 200.0),
        (100, Limits(in_flight=50), 10, 100.0),
        (100, Limits(per_minute=30), 10, 200.0),
        (100, Limits(per_minute=600), 10, 100.0),
        (0, Limits(per_minute=30, per_day=10), 10, 0.0),
        (100, Limits(per_day=100), 10, 100.0),
        (101, Limits(per_day=100), 10, 86_401.0),
        (250, Limits(per_day=100), 10, 2 * 86_400 + 50.0),
        (200_000, Limits(per_day=150_000), 10, 200_000.0),
    ],
)
def test_time_comes_from_the_tightest_limit(images: int, limits: Limits, concurrency: int, seconds: float) -> None:
    """Calls at once, calls a minute and images a day bound the pace of calls of ten seconds."""
    assert estimate_seconds(images, model(limits=limits, typical_seconds=10), concurrency) == pytest.approx(seconds)


def test_manual_design_has_the_articles_figures() -> None:
    """From a price range to "and more" to "practically impossible"."""
    manual = ManualDesign()
    costs = [manual_cost(images, manual) for images in (100, 1_000, 10_000, 100_000)]
    assert [cost.low for cost in costs] == [500 * USD, 5_000 * USD, 50_000 * USD, 500_000 * USD]
    assert [cost.high for cost in costs] == [1_000 * USD, 10_000 * USD, None, None]
    assert [cost.possible for cost in costs] == [True, True, True, False]


def test_the_table_is_the_articles() -> None:
    """$0.50 to $500 for Nano Banana 2, $1.50 to $1,500 for Seedream 5; a model without a price has none."""
    models = [model(alias="nano"), model(alias="seed", price_usd=Decimal("0.015")), model(alias="new", price_usd=None)]
    table = cost_table(models, ManualDesign())
    assert [row.images for row in table] == [100, 1_000, 10_000, 100_000]
    assert [row.usd_micros_by_model["nano"] for row in table] == [500_000, 5 * USD, 50 * USD, 500 * USD]
    assert [row.usd_micros_by_model["seed"] for row in table] == [1_500_000, 15 * USD, 150 * USD, 1_500 * USD]
    assert [row.usd_micros_by_model["new"] for row in table] == [None] * 4
    assert table[0].manual == manual_cost(100, ManualDesign())


@pytest.mark.parametrize(("micros", "krw"), [(USD, 1400), (0, 0), (5_000, 7), (357, 0), (358, 1)])
def test_won_are_whole(micros: int, krw: int) -> None:
    """Half a won rounds up."""
    assert won(micros, Decimal(1400)) == krw
