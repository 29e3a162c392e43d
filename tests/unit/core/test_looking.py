"""When a provider is asked about a job."""

from __future__ import annotations

from tasks.core.looking import look_after_seconds


def test_without_webhooks_the_first_look_is_when_a_call_has_usually_ended() -> None:
    """Then half of that later, and further and further apart, a minute at most."""
    waits = [look_after_seconds(looks, 10.0, None) for looks in range(8)]
    assert waits[:3] == [10.0, 7.5, 11.25]
    assert waits[1:] == sorted(waits[1:])
    assert look_after_seconds(100, 10.0, None) == 60.0


def test_with_webhooks_only_what_is_overdue_is_asked_about() -> None:
    """Three typical calls and the patience for a webhook; five minutes at most."""
    assert look_after_seconds(0, 10.0, 60.0) == 90.0
    assert look_after_seconds(1, 10.0, 60.0) == 135.0
    assert look_after_seconds(100, 10.0, 60.0) == 300.0
