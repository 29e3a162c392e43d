from __future__ import annotations

from decimal import Decimal

import pytest

from tasks.core.errors import InputError
from tasks.core.money import format_usd, usd_micros


@pytest.mark.parametrize(
    ("amount", "micros"),
    [("12.50", 12_500_000), (0.005, 5_000), (Decimal("0.0000005"), 1), (3, 3_000_000), (0, 0)],
)
def test_dollars_become_whole_micro_dollars(amount: str | float | Decimal, micros: int) -> None:
    """However an amount is written, it becomes an exact whole number, half up."""
    assert usd_micros(amount) == micros


@pytest.mark.parametrize("amount", ["", "ten", "$5", "-0.01", "NaN", "Infinity", float("nan"), float("inf")])
def test_what_is_no_amount_is_refused(amount: str | float) -> None:
    """Negative, infinite and unreadable amounts name the mend."""
    with pytest.raises(InputError, match=r"write it like 12\.50"):
        usd_micros(amount)


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "$0.00"), (5_000, "$0.0050"), (99_999, "$0.1000"), (100_000, "$0.10"), (1_500_000_000, "$1,500.00")],
)
def test_amounts_are_written_for_people(micros: int, text: str) -> None:
    """Small amounts keep four digits, large ones get separators."""
    assert format_usd(micros) == text
