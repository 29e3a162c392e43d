"""Counters that many processes add to, and what is read from their sum."""

from __future__ import annotations

from collections import Counter
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.observed import BOUNDS_SECONDS, Durations, Observed, Timed, of_duration, of_finding, of_sweep, read

GENERATED = Timed("generate", "nano-banana-2", "done")
FAILED = Timed("generate", "nano-banana-2", "failed")


def added(*amounts: dict[str, int]) -> dict[bytes, bytes]:
    """As Redis gives a hash back to which all of them were added."""
    total: Counter[str] = Counter()
    for each in amounts:
        total.update(each)
    return {field.encode(): str(amount).encode() for field, amount in total.items()}


def test_nothing_is_observed_at_first() -> None:
    """An empty hash is no error."""
    assert read({}) == Observed({}, 0, {})


@given(st.lists(st.floats(0, 10_000), min_size=1))
def test_durations_add_up(seconds: list[float]) -> None:
    """Each is in the buckets of all bounds that it does not exceed; the last one has them all."""
    durations = read(added(*(of_duration(GENERATED, each) for each in seconds))).durations[GENERATED]
    assert durations.cumulative == [(bound, sum(s <= bound for s in seconds)) for bound in (*BOUNDS_SECONDS, inf)]
    assert durations.sum_seconds == pytest.approx(sum(seconds), abs=1e-6 * len(seconds))


def test_each_step_and_outcome_has_its_own() -> None:
    """In the order of their names, whatever Redis's is."""
    observed = read(added(of_duration(FAILED, 0.3), of_duration(GENERATED, 0.1), of_duration(GENERATED, 700.0)))
    assert list(observed.durations) == [GENERATED, FAILED]
    assert observed.durations[FAILED].sum_seconds == 0.3
    assert observed.durations[GENERATED].counts[1] == observed.durations[GENERATED].counts[-1] == 1


def test_sweeps_and_what_they_found_are_counted() -> None:
    """Found things by what they are."""
    observed = read(added(of_sweep(), of_sweep(), of_finding("lost_messages", 3), of_finding("lost_messages", 4)))
    assert observed == Observed({}, 2, {"lost_messages": 7})


def test_counters_of_another_version_do_no_harm() -> None:
    """What is unknown is passed over; a bucket that there no longer is counts in the next larger one."""
    observed = read(
        {
            b'["step", "generate", "m", "done", "0.07"]': b"2",
            b'["step", "generate", "m", "done", "0.1"]': b"1",
            b'["step", "generate"]': b"9",
            b'["moons", "of", "Mars"]': b"2",
        }
    )
    assert observed.durations == {Timed("generate", "m", "done"): Durations((0, 3, *[0] * 13), 0.0)}
    assert (observed.sweeps, observed.found) == (0, {})
