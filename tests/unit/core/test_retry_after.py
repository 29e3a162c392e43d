"""Retry-After in all its spellings."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasks.core.retry_after import parse_retry_after

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("1.5", 1.5),
        ("-3", None),
        ("inf", None),
        ("soon", None),
        ("Fri, 01 May 2026 12:01:30 GMT", 90.0),
        ("Fri, 01 May 2026 12:01:30 -0000", 90.0),
        ("Fri, 01 May 2026 11:00:00 GMT", 0.0),
        ("Fri, 99 May 2026 11:00:00 GMT", None),
    ],
)
def test_seconds_and_dates(value: str | None, seconds: float | None) -> None:
    """Seconds and HTTP dates are read, a date in the past means now, and nonsense means nothing."""
    assert parse_retry_after(value, NOW) == seconds
