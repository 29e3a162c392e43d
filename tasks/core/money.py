"""Money is whole micro-dollars: 1 USD = 1,000,000. Floats never hold it."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from tasks.core.errors import InputError

MICROS_PER_USD = 1_000_000


def usd_micros(amount: str | float | Decimal) -> int:
    """Turn an amount in US dollars, as a person or a TOML file writes it, into micro-dollars.

    Raises InputError when it is not a non-negative number.
    """
    try:
        micros = (Decimal(str(amount)) * MICROS_PER_USD).to_integral_value(rounding=ROUND_HALF_UP)
    except InvalidOperation as error:
        raise InputError(f"{amount!r} is not an amount in US dollars; write it like 12.50") from error
    if not micros.is_finite() or micros < 0:
        raise InputError(f"{amount!r} is not an amount in US dollars; write it like 12.50")
    return int(micros)


def format_usd(micros: int) -> str:
    """``1234500`` → ``$1.23``; amounts under ten cents keep four digits: ``$0.0050``."""
    amount = Decimal(micros) / MICROS_PER_USD
    digits = 4 if 0 < micros < 100_000 else 2
    return f"${amount:,.{digits}f}"
