from __future__ import annotations

import pytest

from tasks.core.pictures import Size
from tasks.core.plan_summary import Drawing, PlanSummary
from tasks.core.preferences import Preferences
from tests.unit.core.factories import catalogue, planner, row


def summary(samples: int = 3) -> PlanSummary:
    """A summary of the small catalogue with the default preferences."""
    return PlanSummary(catalogue(), Preferences(), samples)


def test_it_counts_what_a_plan_shows() -> None:
    """Rows, images, models, templates, sizes, prompts and problems."""
    plan_of = planner(("sku", "name", "color", "model", "variants"))
    gathered = summary(samples=2)
    for each in (
        row(2),
        row(3, variants="3"),
        row(4, model="seedream-5"),
        row(5, color="", name=""),
        row(6, sku="A-2"),
    ):
        gathered.add(plan_of.plan_row(each))
    assert (gathered.rows, gathered.images, gathered.bad_rows, gathered.problems) == (5, 5, 2, 3)
    assert gathered.by_model == {"nano-banana-2": 4, "seedream-5": 1}
    assert gathered.by_template == {"product_hero": 5}
    square = Size(1024, 1024)
    assert gathered.drawings == {
        Drawing("nano-banana-2", square, square): 4,
        Drawing("seedream-5", square, square): 1,
    }
    assert [(image.line, image.variant) for image in gathered.first_images] == [(2, 1), (3, 1)]
    assert [(problem.line, problem.column) for problem in gathered.first_problems] == [(5, "name"), (5, "color")]


def test_cost_and_time_are_of_all_models() -> None:
    """Costs add up; models work side by side, so the slowest decides the time."""
    plan_of = planner(("sku", "name", "color", "model"))
    gathered = summary()
    for line in range(2, 12):
        gathered.add(plan_of.plan_row(row(line, model="seedream-5" if line == 2 else "")))
    assert gathered.cost.low == 9 * 5_000 + 15_000
    assert gathered.cost.high == 3 * gathered.cost.low
    assert gathered.seconds == pytest.approx(9.0)


def test_fallbacks_count_at_the_worst_and_need_a_price() -> None:
    """What a batch may come to is in the highest cost; a fallback that nobody has priced is told like a model."""
    gathered = PlanSummary(catalogue(fallback=["seedream-5", "touch-up"]), Preferences())
    gathered.add(planner().plan_row(row(2)))
    assert (gathered.cost.low, gathered.cost.high) == (5_000, 3 * (5_000 + 15_000))
    assert gathered.unpriced_models == ("touch-up",)


def test_an_empty_plan_costs_nothing() -> None:
    """Nothing to buy, no time."""
    assert (summary().cost.low, summary().seconds) == (0, 0.0)


def test_what_was_paid_before_is_not_bought_again() -> None:
    """Fingerprints that the ledger knows cost nothing."""
    gathered = summary()
    plans = [planner().plan_row(row(2)), planner().plan_row(row(3))]
    paid = {plans[0].images[0].fingerprint}
    for plan in plans:
        gathered.add(plan, paid)
    assert (gathered.images, gathered.reused, gathered.cost.low) == (2, 1, 5_000)


def test_shared_pictures_are_bought_once() -> None:
    """Rows of a sharing template with one prompt buy one picture; variants of it are others."""
    plan_of = planner(("sku", "name", "color", "variants"), template="swatch")
    gathered = summary()
    for each in (row(2), row(3), row(4, variants="2"), row(5, color="blue")):
        gathered.add(plan_of.plan_row(each))
    assert (gathered.images, gathered.reused, gathered.to_buy["nano-banana-2"]) == (5, 2, 3)


def test_enlarging_is_visible() -> None:
    """A native picture that is too small on either side is known as such."""
    asked = Size(3000, 1000)
    assert Drawing("m", asked, Size(2900, 1000)).enlarged
    assert Drawing("m", asked, Size(3000, 999)).enlarged
    assert not Drawing("m", asked, Size(3000, 1000)).enlarged
