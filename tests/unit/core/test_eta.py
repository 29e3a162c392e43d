"""The time left is right at constant pace, whatever the limits promised, and sensible at both ends of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from tasks.core.eta import BatchProgress, ModelProgress, Recent
from tasks.core.limits import LimitState
from tasks.core.states import State


def model(recent: Recent | None = None, limit: LimitState | None = None, **counts: int) -> ModelProgress:
    """60 a minute, 8 at once, 4 s a call: a pace of one a second."""
    return ModelProgress(
        "m",
        {State(state): count for state, count in counts.items()},
        recent or Recent(),
        limit or LimitState("m", per_minute=60, in_flight=8),
        typical_seconds=4.0,
        concurrency=16,
    )


def rate_bound(total: int, per_second: float, call_seconds: float) -> list[tuple[float, float]]:
    """(start, end) of each call when starts are spread evenly."""
    return [(n / per_second, n / per_second + call_seconds) for n in range(total)]


def slot_bound(total: int, slots: int, call_seconds: float) -> list[tuple[float, float]]:
    """(start, end) of each call when a call starts as another ends; calls differ by up to a fifth."""
    free, calls = [0.0] * slots, []
    for number in range(total):
        slot = min(range(slots), key=free.__getitem__)
        begin = free[slot]
        free[slot] = begin + call_seconds * (0.8 + 0.4 * (number * 7 % 10) / 9)
        calls.append((begin, free[slot]))
    return calls


def seen_at(now: float, calls: list[tuple[float, float]], like: ModelProgress) -> ModelProgress:
    """What the ledger would tell at a moment of a run."""
    ended = [end for _begin, end in calls if end <= now]
    lately = [end for end in ended if end > now - 60]
    generating = sum(begin <= now < end for begin, end in calls)
    counts = {
        State.PUBLISHED: len(ended),
        State.GENERATING: generating,
        State.QUEUED: len(calls) - len(ended) - generating,
    }
    recent = Recent(len(lately), now - min(lately)) if lately else Recent()
    return replace(like, counts={state: count for state, count in counts.items() if count}, recent=recent)


RUNS = {
    "as the limit says": (rate_bound(600, 1.0, 4.0), model()),
    "a third of the limit": (rate_bound(600, 1 / 3, 4.0), model()),
    "no limit was known": (rate_bound(20_000, 50.0, 1.0), model(limit=LimitState("m"))),
    "slots, long calls": (slot_bound(3_000, 16, 10.0), replace(model(limit=LimitState("m")), typical_seconds=10.0)),
    "calls take longer than typical": (slot_bound(500, 8, 12.0), model()),
    "two minutes in all": (rate_bound(120, 1.0, 4.0), model()),
}


@pytest.mark.parametrize("part", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("run", RUNS)
def test_within_a_fifth_of_the_truth_at_constant_pace(run: str, part: float) -> None:
    """At a quarter, at half and at three quarters of a run, whatever bounds it."""
    calls, like = RUNS[run]
    whole = max(end for _begin, end in calls)
    eta = seen_at(part * whole, calls, like).eta_seconds
    assert eta == pytest.approx((1 - part) * whole, rel=0.2)


@pytest.mark.parametrize("run", RUNS)
def test_it_does_not_jump_around(run: str) -> None:
    """Once the pace is known, what is said a second later differs by an eighth at most."""
    calls, like = RUNS[run]
    whole = max(end for _begin, end in calls)
    for before, after in _each_second(calls, like, 60, whole - 1):
        assert after == pytest.approx(before - 1, rel=0.125, abs=3)


def _each_second(
    calls: list[tuple[float, float]], like: ModelProgress, first: float, last: float
) -> Iterator[tuple[float, float]]:
    etas = [seen_at(first + n, calls, like).eta_seconds or 0.0 for n in range(int(last - first))]
    return pairwise(etas)


def test_at_the_beginning_it_is_the_plans() -> None:
    """Before anything has ended the limits speak: here one a second, and the last call takes four."""
    assert model(queued=10, planned=590).eta_seconds == pytest.approx(604)
    slots = LimitState("m", in_flight=8)
    assert model(limit=slots, queued=600).eta_seconds == pytest.approx(304)
    assert model(limit=LimitState("m"), queued=600).eta_seconds == pytest.approx(154)


def test_at_the_end_it_is_one_call() -> None:
    """What is being drawn takes a call, what is being delivered a moment, and then there is nothing left."""
    fast = Recent(600, 60.0)
    assert model(fast, published=990, generating=8).eta_seconds == pytest.approx(4.0)
    assert model(fast, published=990, uploaded=2).eta_seconds == pytest.approx(1.0)
    assert model(fast, published=1000).eta_seconds == 0.0


def test_nobody_knows_when_a_worker_will_come() -> None:
    """A batch of which nothing was ever sent has no time; nor has one with a model that may not be called."""
    assert model(planned=10).eta_seconds is None
    assert model(limit=LimitState("m", per_minute=0), queued=10).eta_seconds is None
    assert model(planned=10, queued=1).eta_seconds is not None


def test_what_waits_for_a_person_is_not_waited_for() -> None:
    """Held and unknown images are neither left nor done."""
    waiting = model(published=5, held=100, unknown=3)
    assert (waiting.eta_seconds, waiting.left, waiting.done) == (0.0, 0, 5)


def test_a_found_limit_counts_before_the_configured_one() -> None:
    """Half of what was configured takes twice as long."""
    found = LimitState("m", per_minute=60, found_per_minute=30)
    assert model(limit=found, queued=100).eta_seconds == pytest.approx(204)


def test_a_pause_is_added_and_does_not_count_as_the_pace() -> None:
    """While the provider has us wait, the limits speak again."""
    paused = LimitState("m", per_minute=60, in_flight=8, paused_seconds=30)
    assert model(Recent(12, 59.0), paused, queued=100).eta_seconds == pytest.approx(134)
    assert model(limit=paused, planned=100).eta_seconds == pytest.approx(134), "given back for the pause"


def test_a_limit_per_day_makes_days() -> None:
    """What today leaves over waits for tomorrow, a day for each day's worth."""
    day = LimitState("m", per_minute=60, per_day=1000, started_today=900)
    assert model(limit=day, queued=100).eta_seconds == pytest.approx(104)
    assert model(limit=day, queued=101).eta_seconds == pytest.approx(86_400)
    assert model(limit=day, queued=1101).eta_seconds == pytest.approx(2 * 86_400)


def test_models_work_side_by_side() -> None:
    """The slowest model decides the time, paces add up, and one that nobody knows of makes the whole unknown."""
    slow, fast = model(Recent(10, 60.0), queued=100), replace(model(Recent(600, 60.0), queued=10), model="fast")
    both = BatchProgress((slow, fast))
    assert both.eta_seconds == slow.eta_seconds
    assert both.pace_per_minute == pytest.approx(610)
    assert both.counts == {State.QUEUED: 110}
    assert BatchProgress((slow, model(planned=1))).eta_seconds is None
    assert BatchProgress(()).eta_seconds == 0.0


@pytest.mark.parametrize(
    ("recent", "per_minute"),
    [
        (Recent(), 0.0),
        (Recent(1, 0.1), 1.1),
        (Recent(5, 20.0), 8.6),
        (Recent(5, 50.0), 6.0),
        (Recent(50, 1.0), 300.0),
        (Recent(100, 20.0), 300.0),
    ],
)
def test_the_pace_of_few_or_young_images_is_not_exaggerated(recent: Recent, per_minute: float) -> None:
    """One image that has just ended is about one a minute, and a first burst is spread over ten seconds."""
    assert model(recent).pace_per_minute == pytest.approx(per_minute, rel=0.02)
