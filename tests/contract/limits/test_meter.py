"""What a cluster's processes observe, added up in Redis."""

from __future__ import annotations

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.core.observed import Timed
from tasks.meter import METER_KEY, Meter
from tests.stand_ins.ports import free_ports

PATCHED = Timed("patch_cms", "nano-banana-2", "done")


class Clock:
    """A moment that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        """In seconds."""
        return self.now


def test_processes_add_up(client: redis.Redis) -> None:
    """Each tells what it has observed once; what they knew survives them."""
    for seconds in (0.2, 0.4):
        process = Meter(client)
        process.took(PATCHED, seconds)
        process.swept()
        process.found("lost_messages", 2)
        process.found("jobs_without_worker", 0)
        process.tell()
        process.tell()
    observed = Meter(client).read()
    assert observed.durations[PATCHED].sum_seconds == pytest.approx(0.6)
    assert sum(observed.durations[PATCHED].counts) == 2
    assert (observed.sweeps, observed.found) == (2, {"lost_messages": 4})


def test_redis_is_told_every_few_seconds(client: redis.Redis) -> None:
    """Not at each step: a hundred of them are one command more."""
    clock = Clock()
    meter = Meter(client, clock)
    meter.took(PATCHED, 0.1)
    assert not client.exists(METER_KEY)
    clock.now += 5
    meter.took(PATCHED, 0.1)
    meter.took(PATCHED, 0.1)
    assert sum(meter.read().durations[PATCHED].counts) == 2


def test_steps_do_not_fail_with_redis(client: redis.Redis) -> None:
    """What it could not be told is told later; who asks for it to be told hears of the trouble."""
    clock = Clock()
    (nobody,) = free_ports(1)
    with redis.Redis(port=nobody, retry=Retry(NoBackoff(), 0)) as gone:
        meter = Meter(gone, clock)
        clock.now += 5
        meter.took(PATCHED, 0.1)
        with pytest.raises(redis.RedisError):
            meter.tell()
        gone.connection_pool = client.connection_pool
        meter.tell()
        assert sum(meter.read().durations[PATCHED].counts) == 1
