"""Limits and times as the terminal shows them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasks.cli.wording import held_delivery, limit_notes, limits, time_left, webhook
from tasks.core.events import Standing
from tasks.core.limits import LimitState
from tasks.core.outages import S3, Outage


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "not known"),
        (0.4, "less than a second"),
        (75.0, "about 1 min 15 s"),
        (3_725.0, "about 1 h 2 min"),
        (725.0, "about 12 min"),
    ],
)
def test_the_time_left_is_worded_as_a_plans(seconds: float | None, shown: str) -> None:
    """To the minute from ten minutes on: its seconds would only flicker."""
    assert time_left(seconds) == shown


def test_the_limits_in_force() -> None:
    """Those that are, and the found one before the configured."""
    assert limits(LimitState("m")) == "none"
    assert limits(LimitState("m", per_minute=60, in_flight=8, per_day=2000)) == "60/min, 8 at once, 2,000/day"
    assert limits(LimitState("m", per_minute=600, found_per_minute=289.6)) == "290/min"


def test_what_one_should_know_of_a_limit() -> None:
    """That the provider allows less than is configured, and for how long it has us wait."""
    assert list(limit_notes(LimitState("m", per_minute=600, in_flight=8))) == []
    found = LimitState("m", per_minute=600, found_per_minute=290, paused_seconds=39.6)
    assert list(limit_notes(found)) == [
        "the provider allows about 290 a minute, 600 are configured",
        "paused for about 40 s: the provider asked for it",
    ]
    (note,) = limit_notes(LimitState("m", found_per_minute=2.5))
    assert note == "the provider allows about 2.5 a minute, none is configured"


def test_a_held_delivery_says_where_since_when_and_why() -> None:
    """And that nobody need do more than bring the other side back."""
    outage = Outage(S3, datetime(2026, 5, 1, 2, tzinfo=UTC), "not_sent", "bucket 'shop': no connection")
    assert held_delivery(outage, "Asia/Seoul") == (
        "delivery to public storage is held since 2026-05-01 11:00:00 KST, and goes on by itself when it is back: "
        "bucket 'shop': no connection"
    )


@pytest.mark.parametrize(
    ("standing", "shown"),
    [
        (Standing(0, None, gave_up=False), "everything is told"),
        (Standing(1, None, gave_up=False), "1 event not told"),
        (Standing(1200, "it answered 503", gave_up=False), "1,200 events not told, tried again: it answered 503"),
        (Standing(3, "it answered 410", gave_up=True), "3 events not told, given up: it answered 410"),
    ],
)
def test_how_it_stands_with_a_webhook(standing: Standing, shown: str) -> None:
    """What is not told, why, and whether that will be tried again."""
    assert webhook(standing) == shown
