"""How figures are said to grow."""

from __future__ import annotations

import pytest

from tests.bench.growth import growth


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({1_000: 73.0, 10_000: 74.0, 100_000: 80.0}, "flat"),
        ({1_000: 0.17, 10_000: 0.8, 100_000: 7.1}, "linear"),
        ({1_000: 1.0, 10_000: 20.0, 100_000: 900.0}, "more than linear"),
        ({1_000: 1.0, 10_000: 8.0, 100_000: 20.0}, "less than linear"),
        ({1_000: 40.0, 10_000: 30.0}, "falling"),
        ({1_000: 0.0, 10_000: 0.0}, "flat"),
    ],
)
def test_growth_is_named(values: dict[int, float], kind: str) -> None:
    """A word for each shape."""
    found = growth(values)

    assert found is not None
    assert found.kind == kind


def test_the_constant_is_the_line_through_both_ends() -> None:
    """A fixed part, and what each thousand images add."""
    found = growth({1_000: 0.6, 100_000: 10.5})

    assert found is not None
    assert found.fixed == pytest.approx(0.5)
    assert found.per_thousand == pytest.approx(0.1)


@pytest.mark.parametrize("values", [{}, {1_000: 1.0}, {1_000: 1.0, 2_000: 2.0}])
def test_sizes_that_are_close_to_each_other_say_nothing(values: dict[int, float]) -> None:
    """There is no growth without a fivefold difference."""
    assert growth(values) is None
