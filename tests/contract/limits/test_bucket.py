"""One rate for a model over all workers; pauses for everybody; no token without Redis."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
import redis

from tasks.devstack.valkey import EmbeddedValkey
from tasks.limits.bucket import ClusterBucket, pause, pause_key, rate_key
from tests.contract.limits.takers import take_until
from tests.waiting import wait_until

MODEL = "nano-banana-2"
FAST = 1000.0


def test_processes_and_threads_share_one_rate(client: redis.Redis, valkey_url: str) -> None:
    """Two processes and two threads that take all they can get hold 50 a second together, to 3 %."""
    seconds, per_second = 3.0, 50.0
    begin = time.time() + 2.0
    arguments = (valkey_url, MODEL, per_second, begin, begin + seconds)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as processes, ThreadPoolExecutor(2) as threads:
        futures = [pool.submit(take_until, *arguments) for pool in (processes, processes, threads, threads)]
        shares = [future.result() for future in futures]
    taken = sorted(moment for share in shares for moment in share)
    assert len(taken) == pytest.approx(seconds * per_second, rel=0.03)
    assert all(shares), "everybody gets some"
    busiest = max(sum(start <= moment < start + 1.0 for moment in taken) for start in taken)
    assert busiest <= per_second * 1.06, "no second has more than its share"


def test_models_do_not_share(client: redis.Redis) -> None:
    """The token of one model takes nothing from another's."""
    slow, other = (ClusterBucket(client, model, 0.1) for model in (MODEL, "seedream-5"))
    assert slow.can_consume()
    assert not slow.can_consume()
    assert other.can_consume()


def test_a_model_without_a_rate_is_not_held(client: redis.Redis) -> None:
    """Without a limit every token is there at once."""
    bucket = ClusterBucket(client, MODEL, 0.0)
    assert all(bucket.can_consume() for _ in range(100))


def test_the_wait_is_told(client: redis.Redis) -> None:
    """Nobody has to ask before it is worth asking, and the token is there then."""
    bucket = ClusterBucket(client, MODEL, 5.0)
    assert bucket.can_consume()
    assert not bucket.can_consume()
    assert 0.1 < bucket.expected_time() <= 0.2
    wait_until(bucket.can_consume, 1.0)


def test_a_slow_rate_reserves_nothing_far_ahead(client: redis.Redis) -> None:
    """A token that is due much later is not taken now: a worker that ends would take it along."""
    bucket = ClusterBucket(client, MODEL, 0.1)
    assert bucket.can_consume()
    before = client.get(rate_key(MODEL))
    assert not bucket.can_consume()
    assert client.get(rate_key(MODEL)) == before
    assert 8.0 < bucket.expected_time() <= 9.0


def test_a_pause_stops_everybody(client: redis.Redis) -> None:
    """Every worker's bucket is empty until the pause is over, with or without a rate."""
    buckets = [ClusterBucket(client, MODEL, per_second) for per_second in (FAST, FAST, 0.0)]
    pause(client, MODEL, 0.3)
    assert not any(bucket.can_consume() for bucket in buckets)
    assert all(0.2 < bucket.expected_time() <= 0.3 for bucket in buckets)
    for bucket in buckets:
        wait_until(bucket.can_consume, 2.0)


def test_the_longest_pause_counts(client: redis.Redis) -> None:
    """A shorter pause does not shorten a longer one; a longer one prolongs it."""
    pause(client, MODEL, 10.0)
    pause(client, MODEL, 1.0)
    assert 9_000 < client.pttl(pause_key(MODEL)) <= 10_000
    pause(client, MODEL, 60.0)
    assert 59_000 < client.pttl(pause_key(MODEL)) <= 60_000


def test_a_pause_has_an_end(client: redis.Redis) -> None:
    """Even one of no length does not stay for ever."""
    pause(client, MODEL, 0.0)
    wait_until(lambda: not client.exists(pause_key(MODEL)), 2.0)


def test_a_rate_changes_while_it_runs(client: redis.Redis) -> None:
    """The next token goes by the new rate, faster or slower."""
    bucket = ClusterBucket(client, MODEL, 2.0)
    assert bucket.can_consume()
    bucket.set_rate(FAST)
    wait_until(bucket.can_consume, 2.0)
    begin = time.monotonic()
    for _ in range(10):
        wait_until(bucket.can_consume, 1.0)
    assert time.monotonic() - begin < 1.0
    bucket.set_rate(0.1)
    wait_until(bucket.can_consume, 1.0)
    assert not bucket.can_consume()
    assert bucket.expected_time() > 5.0


def test_without_redis_there_is_no_token_and_then_there_is() -> None:
    """The limiter fails closed, says when to ask again, and recovers with a Redis that has forgotten everything."""
    with EmbeddedValkey() as valkey, redis.Redis.from_url(valkey.url) as client:
        bucket = ClusterBucket(client, MODEL, FAST)
        assert bucket.can_consume()
        server = valkey._process
        assert server is not None
        server.kill()
        server.wait()
        assert not bucket.can_consume()
        assert 0.5 < bucket.expected_time() <= 1.0
        valkey.__enter__()
        wait_until(bucket.can_consume, 5.0)
