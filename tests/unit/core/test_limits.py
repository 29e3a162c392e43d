from __future__ import annotations

import pytest

from tasks.core.limits import LimitState, format_rate


@pytest.mark.parametrize(
    ("per_minute", "shown"), [(1200.0, "1,200"), (289.6, "290"), (10.4, "10"), (2.5, "2.5"), (3.0, "3"), (0.0, "0")]
)
def test_rates_as_people_read_them(per_minute: float, shown: str) -> None:
    """Whole numbers, and one place for those below ten."""
    assert format_rate(per_minute) == shown


def test_the_lower_limit_is_in_force() -> None:
    """The configured one, the found one, or none."""
    assert LimitState("m").in_force_per_minute is None
    assert LimitState("m", per_minute=600).in_force_per_minute == 600
    assert LimitState("m", per_minute=600, found_per_minute=290).in_force_per_minute == 290
    assert LimitState("m", found_per_minute=290).in_force_per_minute == 290
