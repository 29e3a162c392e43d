"""What Redis decides: rate, calls in flight, calls a day, what a 429 teaches, and what an operator changes."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.core.catalogue import Limits
from tasks.core.limits import Limited
from tasks.limits.epoch import begin_epoch
from tasks.limits.limiter import Grant, Limiter, Wait, write_calls, write_override
from tests.contract.limits.takers import MODEL, limiter_of, member
from tests.waiting import wait_until

STATE_KEY = f"imagechord:limit:{MODEL}"


def take(limiter: Limiter, who: str | None = None) -> Grant | Wait:
    """Ask for one call."""
    return limiter.take(MODEL, who or member())[0]


def granted(limiter: Limiter, times: int) -> int:
    """How many of so many are granted."""
    return sum(isinstance(take(limiter), Grant) for _ in range(times))


def let_pass(client: redis.Redis, field: str, seconds: float) -> None:
    """As if a moment that Redis has written down were so much longer ago."""
    before = client.hget(STATE_KEY, field)
    assert before is not None
    client.hset(STATE_KEY, field, f"{int(before) - seconds * 1e6:.0f}")


def test_a_model_without_limits_is_counted_all_the_same(client: redis.Redis) -> None:
    """Every call is granted at once; today and the pace are known."""
    limiter = limiter_of(client)
    assert granted(limiter, 100) == 100
    state = limiter.state(MODEL)
    assert state.started_today == 100
    assert state.pace_per_minute > 600, "a hundred in far less than ten seconds"
    assert state.in_flight_now == 0, "not tracked, so nothing has to be released"


def test_models_do_not_share(client: redis.Redis) -> None:
    """The call of one model takes nothing from another's."""
    limits = Limits(per_minute=6, in_flight=1)
    limiter = Limiter(client, [Limited("one", limits, 60.0), Limited("two", limits, 60.0)])
    assert isinstance(limiter.take("one", member())[0], Grant)
    assert isinstance(limiter.take("one", member())[0], Wait)
    assert isinstance(limiter.take("two", member())[0], Grant)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(per_minute=st.floats(min_value=1.0, max_value=6000.0), asks=st.integers(min_value=1, max_value=60))
def test_no_minute_sees_more_than_its_limit(client: redis.Redis, per_minute: float, asks: int) -> None:
    """Whatever the rate: what is granted for the next second, added to what a minute goes on with, stays below it."""
    client.delete(STATE_KEY)
    limiter = limiter_of(client, per_minute=per_minute)
    begin = time.monotonic()
    starts = granted(limiter, asks)
    # Granted ahead by a second, late by a tenth of one, and the first for nothing.
    elapsed = time.monotonic() - begin + 1.1
    assert starts <= 1 + elapsed * per_minute * 0.985 / 60


def test_the_rate_is_used_up(client: redis.Redis) -> None:
    """Somebody who asks late by some milliseconds gets what was due meanwhile: 98.5 % of the limit."""
    limiter = limiter_of(client, per_minute=6000)
    begin = time.monotonic()
    starts, pace = 0, threading.Event()
    while (elapsed := time.monotonic() - begin) < 2.0:
        if isinstance(limiter.take(MODEL, member(), horizon_seconds=0.0)[0], Grant):
            starts += 1
        else:
            pace.wait(0.03)
    assert starts / elapsed == pytest.approx(98.5, rel=0.08)


def test_no_more_in_flight_than_allowed(client: redis.Redis) -> None:
    """Eight at once for sixteen threads that ask at the same moment; each end lets one more start."""
    limiter = limiter_of(client, in_flight=8)
    members = [member() for _ in range(40)]
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda who: take(limiter, who), members))
    flying = [who for who, answer in zip(members, answers, strict=True) if isinstance(answer, Grant)]
    assert len(flying) == limiter.state(MODEL).in_flight_now == 8
    assert {answer.reason for answer in answers if isinstance(answer, Wait)} == {"in_flight"}
    limiter.release(MODEL, flying[0])
    assert granted(limiter, 3) == 1


def test_the_same_message_has_the_grant_it_had(client: redis.Redis) -> None:
    """A message that is delivered again takes neither a second place nor a second token."""
    limiter = limiter_of(client, in_flight=1, per_day=5)
    assert take(limiter, "7:1") == Grant(0.0, tracked=True, counted=True)
    assert take(limiter, "7:1") == Grant(0.0, tracked=True, counted=False)
    assert limiter.state(MODEL).started_today == 1


def test_a_call_that_nobody_ended_ends_by_itself(client: redis.Redis) -> None:
    """A worker that died does not block its places for ever."""
    limiter = limiter_of(client, longest_seconds=0.3, in_flight=1)
    assert isinstance(take(limiter), Grant)
    assert isinstance(take(limiter), Wait)
    wait_until(lambda: isinstance(take(limiter), Grant), 3.0)


def test_a_day_has_so_many_calls(client: redis.Redis) -> None:
    """What is over waits for the provider's midnight, and the model counts as paused until then."""
    limiter = limiter_of(client, per_day=3)
    assert granted(limiter, 5) == 3
    refused = take(limiter)
    assert isinstance(refused, Wait)
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    until_midnight = (midnight - now).total_seconds()
    assert refused.reason == "day"
    assert refused.seconds == pytest.approx(until_midnight, abs=5.0)
    assert limiter.state(MODEL).paused_seconds == pytest.approx(until_midnight, abs=5.0)


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Seoul", "Asia/Kolkata"])
def test_the_day_is_the_providers(client: redis.Redis, zone: str) -> None:
    """Midnight is where the provider counts."""
    limited = Limited(MODEL, Limits(per_day=1, day_timezone=zone), 60.0)
    limiter = Limiter(client, [limited])
    assert isinstance(take(limiter), Grant)
    refused = take(limiter)
    there = datetime.now(ZoneInfo(zone))
    passed = there.hour * 3600 + there.minute * 60 + there.second
    assert isinstance(refused, Wait)
    assert refused.seconds == pytest.approx(86_400 - passed, abs=5.0)


def test_a_new_day_begins_at_nothing(client: redis.Redis) -> None:
    """Yesterday's calls do not count."""
    limiter = limiter_of(client, per_day=1)
    assert isinstance(take(limiter), Grant)
    client.hincrby(STATE_KEY, "day", -1)
    assert limiter.state(MODEL).started_today == 0
    assert isinstance(take(limiter), Grant)


def test_a_call_that_was_not_made_is_given_back(client: redis.Redis) -> None:
    """Rate, day and place are free again."""
    limiter = limiter_of(client, per_minute=6, in_flight=1, per_day=1)
    grant = take(limiter, "7:1")
    assert isinstance(grant, Grant)
    limiter.refund(MODEL, "7:1", grant)
    state = limiter.state(MODEL)
    assert (state.started_today, state.in_flight_now) == (0, 0)
    assert isinstance(take(limiter), Grant)


def test_what_the_same_message_did_not_take_is_not_given_back(client: redis.Redis) -> None:
    """A delivery that had its grant from before returns its place and no second token."""
    limiter = limiter_of(client, in_flight=1)
    for _ in range(2):
        grant = take(limiter, "7:1")
    assert isinstance(grant, Grant)
    limiter.refund(MODEL, "7:1", grant)
    state = limiter.state(MODEL)
    assert (state.started_today, state.in_flight_now) == (1, 0)


def test_the_longest_pause_counts(client: redis.Redis) -> None:
    """A shorter pause does not shorten a longer one; a longer one prolongs it; one of no length has an end."""
    limiter = limiter_of(client)
    limiter.pause(MODEL, 10.0)
    limiter.pause(MODEL, 1.0)
    assert 9.0 < limiter.paused_seconds(MODEL) <= 10.0
    limiter.throttled(MODEL, 60.0)
    assert 59.0 < limiter.state(MODEL).paused_seconds <= 60.0
    client.flushall()
    limiter.pause(MODEL, 0.0)
    wait_until(lambda: limiter.paused_seconds(MODEL) == 0, 2.0)


def test_without_an_epoch_nothing_is_granted(client: redis.Redis) -> None:
    """A Redis that came back empty knows neither what is in flight nor what the day has seen."""
    client.flushall()
    limiter = limiter_of(client)
    assert take(limiter) == Wait(1.0, "epoch")


def test_what_redis_lost_is_restored(client: redis.Redis) -> None:
    """Calls in flight, the day's calls and an operator's changes are there from the first moment of the epoch."""
    client.flushall()
    limiter = limiter_of(client, in_flight=2, per_day=10)
    limited = limiter.limited[MODEL]

    def restore(pipe: object) -> None:
        write_override(pipe, MODEL, {"per_day": 9})
        write_calls(pipe, limited, datetime.now(UTC), ["7:1"], 8)

    begin_epoch(client, restore)
    state = limiter.state(MODEL)
    assert (state.in_flight_now, state.started_today, state.per_day) == (1, 8, 9)
    assert granted(limiter, 3) == 1
    assert take(limiter, "7:1") == Grant(0.0, tracked=True, counted=False)


def test_a_429_makes_everybody_slower_once(client: redis.Redis) -> None:
    """The rate goes down by a tenth; answers to calls that were under way then say nothing new."""
    limiter = limiter_of(client, per_minute=600)
    for _ in range(5):
        limiter.throttled(MODEL, 0.001)
    assert limiter.state(MODEL).found_per_minute == pytest.approx(540)
    let_pass(client, "stepped_at", 2.0)
    wait_until(lambda: limiter.paused_seconds(MODEL) == 0, 2.0)
    limiter.throttled(MODEL, 30.0)
    assert limiter.state(MODEL).found_per_minute == pytest.approx(486)
    let_pass(client, "stepped_at", 2.0)
    limiter.throttled(MODEL, 30.0)
    state = limiter.state(MODEL)
    assert state.found_per_minute == pytest.approx(486), "paused: the same event"
    assert state.in_force_per_minute == pytest.approx(486)


def test_the_rate_that_was_found_holds(client: redis.Redis) -> None:
    """Calls are granted at it, not at the one that is configured."""
    limiter = limiter_of(client, per_minute=60_000)
    client.hset(STATE_KEY, mapping={"found": "60", "raised_at": f"{time.time() * 1e6:.0f}"})
    assert granted(limiter, 20) <= 3


def test_a_rate_that_was_found_is_tried_upwards_and_forgotten(client: redis.Redis) -> None:
    """One percent every ten seconds in which calls are asked for; at the configured one it is gone."""
    limiter = limiter_of(client, per_minute=600)
    limiter.throttled(MODEL, 0.001)
    wait_until(lambda: limiter.paused_seconds(MODEL) == 0, 2.0)
    granted(limiter, 3)
    assert limiter.state(MODEL).found_per_minute == pytest.approx(540)
    for step in range(1, 11):
        let_pass(client, "raised_at", 10.0)
        granted(limiter, 3)
        assert limiter.state(MODEL).found_per_minute == pytest.approx(540 * 1.01**step, rel=1e-4)
    let_pass(client, "raised_at", 10.0)
    granted(limiter, 1)
    assert limiter.state(MODEL).found_per_minute is None


def test_a_model_without_a_rate_starts_below_its_pace(client: redis.Redis) -> None:
    """The first 429 of a model that has no limit is answered with nine tenths of what was measured."""
    limiter = limiter_of(client)
    granted(limiter, 50)
    pace = limiter.state(MODEL).pace_per_minute
    limiter.throttled(MODEL, 0.01)
    found = limiter.state(MODEL).found_per_minute
    assert found is not None
    assert found == pytest.approx(0.9 * pace, rel=0.3)
    wait_until(lambda: limiter.paused_seconds(MODEL) == 0, 2.0)
    assert granted(limiter, 500) < 500


def test_a_429_out_of_nowhere_finds_no_rate(client: redis.Redis) -> None:
    """Without a limit and without a pace there is nothing to go down from."""
    limiter = limiter_of(client)
    limiter.throttled(MODEL, 0.01)
    assert limiter.state(MODEL).found_per_minute is None


def test_an_operators_change_goes_before_the_catalogue(client: redis.Redis) -> None:
    """For everybody, whatever their own catalogue says; 'none' takes a limit away, and without a change it is back."""
    limiter, other = limiter_of(client, in_flight=1), limiter_of(client, per_minute=6)
    limiter.override(MODEL, {"in_flight": 3, "per_minute": None})
    assert granted(other, 10) == 3
    state = other.state(MODEL)
    assert (state.per_minute, state.in_flight, state.overridden) == (None, 3, ("per_minute", "in_flight"))
    limiter.override(MODEL, {})
    state = other.state(MODEL)
    assert (state.per_minute, state.in_flight, state.overridden) == (6, None, ())


def test_a_rate_that_is_raised_holds_at_once(client: redis.Redis) -> None:
    """What was reserved at the slow rate does not keep the fast one waiting."""
    limiter = limiter_of(client, per_minute=2)
    assert granted(limiter, 3) == 1
    limiter.override(MODEL, {"per_minute": 6000})
    wait_until(lambda: granted(limiter, 3) and limiter.state(MODEL).started_today > 100, 10.0, "a hundred calls")


def test_all_states_come_in_one_answer(client: redis.Redis) -> None:
    """In the order of the catalogue."""
    limiter = Limiter(client, [Limited(name, Limits(), 60.0) for name in ("b", "a", "cms")])
    limiter.take("a", member())
    assert [(state.name, state.started_today) for state in limiter.states()] == [("b", 0), ("a", 1), ("cms", 0)]
