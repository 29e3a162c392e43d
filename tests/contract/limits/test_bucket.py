"""A worker's bucket: one rate for a model over all workers; pauses for everybody; nothing starts without Redis."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
import redis

from tasks.devstack.valkey import EmbeddedValkey
from tasks.limits.epoch import begin_epoch
from tasks.limits.limiter import Grant
from tests.contract.limits.takers import MODEL, bucket_of, limiter_of, starts, take_until
from tests.waiting import wait_until

FAST = 60_000.0


def test_processes_and_threads_share_one_rate(client: redis.Redis, valkey_url: str) -> None:
    """Two processes and two threads that take all they can get hold 50 a second together, to 3 %."""
    seconds, per_second = 3.0, 50.0
    begin = time.time() + 2.0
    arguments = (valkey_url, per_second * 60, begin, begin + seconds)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as processes, ThreadPoolExecutor(2) as threads:
        futures = [pool.submit(take_until, *arguments) for pool in (processes, processes, threads, threads)]
        shares = [future.result() for future in futures]
    taken = sorted(moment for share in shares for moment in share)
    assert len(taken) == pytest.approx(seconds * per_second, rel=0.05)
    assert all(shares), "everybody gets some"
    busiest = max(sum(start <= moment < start + 1.0 for moment in taken) for start in taken)
    assert busiest <= per_second * 1.15, "no second has more than its share, and what another second left of its own"


def test_a_model_without_a_rate_is_not_held(client: redis.Redis) -> None:
    """Without a limit every start is granted at once."""
    bucket = bucket_of(limiter_of(client), 100)
    assert all(starts(bucket) for _ in range(100))


def test_the_wait_is_told(client: redis.Redis) -> None:
    """Nobody has to ask before it is worth asking, and the start is granted then."""
    bucket = bucket_of(limiter_of(client, per_minute=300), 2)
    assert starts(bucket)
    assert not starts(bucket)
    assert 0.0 < bucket.wait_seconds() <= 0.21
    wait_until(lambda: starts(bucket), 1.0)


def test_a_slow_rate_reserves_nothing_far_ahead(client: redis.Redis) -> None:
    """What is due much later is not taken now, a worker that ends would take it along; it is looked at every second."""
    limiter = limiter_of(client, per_minute=6)
    bucket = bucket_of(limiter, 2)
    assert starts(bucket)
    wait = bucket.ask()
    assert not isinstance(wait, Grant)
    assert 8.0 < wait.seconds <= 9.3
    assert 0.5 < bucket.wait_seconds() <= 1.0
    assert limiter.state(MODEL).started_today == 1


def test_a_pause_stops_everybody(client: redis.Redis) -> None:
    """Every worker's bucket stands still until the pause is over, with or without a rate."""
    buckets = [bucket_of(limiter_of(client, **limits)) for limits in ({"per_minute": FAST}, {"per_minute": FAST}, {})]
    limiter_of(client).pause(MODEL, 0.3)
    assert not any(starts(bucket) for bucket in buckets)
    assert all(0.1 < bucket.wait_seconds() <= 0.3 for bucket in buckets)
    for bucket in buckets:
        wait_until(lambda bucket=bucket: starts(bucket), 2.0)  # type: ignore[misc]


def test_a_start_that_was_reserved_is_not_used_in_a_pause(client: redis.Redis) -> None:
    """What was granted for a moment from now is given back when the model was paused meanwhile."""
    limiter = limiter_of(client, per_minute=120)
    bucket = bucket_of(limiter, 2)
    assert starts(bucket)
    assert not starts(bucket)
    assert limiter.state(MODEL).started_today == 2
    limiter.pause(MODEL, 1.5)
    begin = time.monotonic()
    wait_until(lambda: not isinstance(bucket.ask(), Grant) and limiter.state(MODEL).started_today == 1, 1.0)
    wait_until(lambda: starts(bucket), 5.0)
    assert time.monotonic() - begin > 1.0


def test_a_full_bucket_is_asked_seldom(client: redis.Redis) -> None:
    """While others hold every place, the waits grow to a second; a call of this worker that ends is used at once."""
    limiter = limiter_of(client, in_flight=1)
    bucket = bucket_of(limiter, 2)
    first = bucket.waiting[0][1]
    assert starts(bucket)
    assert not starts(bucket)
    assert 0.1 < bucket.wait_seconds() <= 0.25
    limiter.release(MODEL, first)
    assert not starts(bucket), "not asked yet"
    assert bucket.call_ended()
    assert starts(bucket)


def test_messages_that_are_dropped_give_back_what_was_reserved(client: redis.Redis) -> None:
    """A worker that loses its connection, or ends, leaves nothing behind in the day's count."""
    limiter = limiter_of(client, per_minute=120, in_flight=5)
    bucket = bucket_of(limiter, 2)
    assert starts(bucket)
    assert not starts(bucket)
    bucket.clear_pending()
    state = limiter.state(MODEL)
    assert (state.started_today, state.in_flight_now) == (1, 1)


def test_without_redis_nothing_starts_and_then_it_does() -> None:
    """The limiter fails closed, says when to ask again, and waits for whoever makes up for what Redis has lost."""
    with EmbeddedValkey() as valkey, redis.Redis.from_url(valkey.url) as client:
        begin_epoch(client, lambda pipe: None)
        bucket = bucket_of(limiter_of(client, per_minute=FAST), 2)
        assert starts(bucket)
        server = valkey._process
        assert server is not None
        server.kill()
        server.wait()
        assert not starts(bucket)
        assert 0.5 < bucket.wait_seconds() <= 1.0
        valkey.__enter__()
        wait_until(lambda: isinstance(bucket.ask(), Grant) or bucket.ask()[1] == "epoch", 5.0)
        assert not starts(bucket)
        begin_epoch(client, lambda pipe: None)
        wait_until(lambda: starts(bucket), 5.0)
