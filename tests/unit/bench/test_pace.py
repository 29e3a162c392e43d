"""The steady state of a run, and what is counted in it."""

from __future__ import annotations

import pytest

from tests.bench.pace import inside, mean_in_flight, per_minute, steady_span, whole_windows


def evenly(per_second: float, seconds: float, since: float = 1000.0) -> list[float]:
    """Charges at an even pace."""
    return [since + number / per_second for number in range(round(per_second * seconds) + 1)]


def test_warm_up_and_the_last_part_of_a_slot_are_left_out() -> None:
    """Of 47 s in slots of 10 s, the 30 s after the first ten count."""
    span = steady_span(evenly(10, 47), slot_seconds=10, warm_up_seconds=10)

    assert span == (1010.0, 1040.0)


def test_a_short_run_has_no_steady_state() -> None:
    """Less than one whole slot after the warm-up is no measurement; neither is nothing at all."""
    assert steady_span(evenly(10, 19), slot_seconds=10, warm_up_seconds=10) is None
    assert steady_span([], slot_seconds=10, warm_up_seconds=10) is None


def test_an_even_pace_is_measured_as_it_is() -> None:
    """Ten a second are six hundred a minute, whatever the span."""
    charged = evenly(10, 60)

    assert inside(charged, (1010.0, 1040.0)) == 300
    assert per_minute(charged, (1010.0, 1040.0)) == pytest.approx(600)


def test_only_whole_windows_of_the_makers_clock_count() -> None:
    """With a window that begins 20 s into a run of 90 s, the minute from there counts and the rest does not."""
    charged = evenly(10, 90)
    span = steady_span(charged, slot_seconds=10, warm_up_seconds=10)

    assert whole_windows(charged, span, boundary=1020.0) == (1020.0, 1080.0)
    assert whole_windows(charged, span, boundary=1020.0 - 600) == (1020.0, 1080.0)
    assert whole_windows(charged, span, boundary=1035.0) is None
    assert whole_windows(charged, None, boundary=1020.0) is None


def test_calls_in_flight_are_averaged_over_time() -> None:
    """Thirty new calls of 10 s a second are three hundred in flight once the first have ended."""
    charged = evenly(30, 50)

    assert mean_in_flight(charged, 10.0, (1010.0, 1050.0)) == pytest.approx(300, rel=0.01)
    assert mean_in_flight(charged, 10.0, (1000.0, 1010.0)) == pytest.approx(150, rel=0.02)
