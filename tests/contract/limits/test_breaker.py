"""The breaker of deliveries, against a real Valkey and over processes."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from tasks.core.errors import ErrorClass
from tasks.core.limits import CMS
from tasks.core.outages import S3
from tasks.limits.breaker import Breaker, OutageRules, Verdict
from tests.waiting import wait_until

NOT_HELD, HELD = Verdict(held=False), Verdict(held=True)
LONG = OutageRules(failures_in_a_row=3, pause_seconds=600.0, longest_pause_seconds=600.0)
BRIEF = OutageRules(failures_in_a_row=3, pause_seconds=0.05, longest_pause_seconds=600.0)
INSTANT = OutageRules(failures_in_a_row=3, pause_seconds=0.001, longest_pause_seconds=0.001)


def fail(breaker: Breaker, *images: int, error: ErrorClass = ErrorClass.OVERLOADED, first: bool = True) -> Verdict:
    """Images fail in this order; what the last one came to."""
    verdicts = [breaker.failed(CMS, image, error, f"image {image}: 503", first=first) for image in images]
    return verdicts[-1]


def commands(client: redis.Redis) -> int:
    """How many commands Redis has answered, this one not counted."""
    stats: Any = client.info("stats")
    return int(stats["total_commands_processed"])


def test_different_images_that_fail_equally_in_a_row_open_it(client: redis.Redis) -> None:
    """The third of three holds the delivery, for other processes as well, and says since when and why."""
    breaker, other = Breaker(client, LONG), Breaker(client, LONG)
    assert fail(breaker, 1, 2) == NOT_HELD
    assert other.look() == []
    assert fail(breaker, 3) == HELD
    (outage,) = other.look()
    assert (outage.destination, outage.error_class, outage.message) == (CMS, "overloaded", "image 3: 503")
    assert abs(outage.since - datetime.now(UTC)) < timedelta(seconds=30)
    assert not outage.probe_due
    assert not other.may_try(CMS, 4)
    assert not breaker.may_try(CMS, 4)
    assert other.may_try(S3, 4), "another destination is another matter"


def test_an_image_counts_once_and_only_with_its_first_failure(client: redis.Redis) -> None:
    """One that fails again and again, or late ones that others overtook, are their own trouble."""
    breaker = Breaker(client, LONG)
    assert fail(breaker, 1, 1, 1, 1) == NOT_HELD
    assert fail(breaker, *range(2, 12), first=False) == NOT_HELD
    assert fail(breaker, 2, 3) == HELD


def test_another_error_or_a_success_begins_anew(client: redis.Redis) -> None:
    """Only equal failures in a row count."""
    breaker = Breaker(client, LONG)
    assert fail(breaker, 1, 2) == NOT_HELD
    assert fail(breaker, 3, error=ErrorClass.NOT_SENT) == NOT_HELD
    assert fail(breaker, 4, 5) == NOT_HELD
    assert breaker.succeeded(CMS) is None
    assert fail(breaker, 6, 7) == NOT_HELD
    assert fail(breaker, 8) == HELD


def test_a_success_elsewhere_counts_when_the_lease_has_looked(client: redis.Redis) -> None:
    """A process that has met no failure itself knows of the others' after its next heartbeat."""
    failing, working = Breaker(client, LONG), Breaker(client, LONG)
    fail(failing, 1, 2)
    working.succeeded(CMS)
    working.look()
    working.succeeded(CMS)
    assert fail(failing, 3, 4) == NOT_HELD


def test_nothing_is_asked_while_all_is_well(client: redis.Redis) -> None:
    """Deliveries that succeed cost no round trip."""
    breaker = Breaker(client, LONG)
    breaker.look()
    before = commands(client)
    for image in range(100):
        assert breaker.may_try(CMS, image)
        assert breaker.succeeded(CMS) is None
    assert commands(client) - before == 1


def test_one_image_at_a_time_finds_out(client: redis.Redis) -> None:
    """When the pause is over the first to ask is the probe, of all processes and threads; the others wait for it."""
    breakers = [Breaker(client, BRIEF) for _ in range(4)]
    fail(breakers[0], 1, 2, 3)
    wait_until(lambda: all(outage.probe_due for each in breakers for outage in each.look()), 10, "the pause's end")
    with ThreadPoolExecutor(16) as threads:
        admitted = list(threads.map(lambda image: breakers[image % 4].may_try(CMS, image), range(64)))
    assert admitted.count(True) == 1
    probe = admitted.index(True)
    assert breakers[1].may_try(CMS, probe), "the same message delivered twice is the same probe"
    (outage,) = breakers[0].look()
    assert not outage.probe_due


def test_a_probe_that_fails_doubles_the_pause_and_is_news_once(client: redis.Redis) -> None:
    """Up to the longest pause; failures of calls that were under way already change nothing."""
    breaker = Breaker(client, BRIEF)
    fail(breaker, 1, 2, 3)
    wait_until(lambda: breaker.may_try(CMS, 4), 10, "the first probe")
    assert fail(breaker, 5) == HELD
    assert client.hget("imagechord:breaker:cms", "pause") == b"50000"
    held, news = fail(breaker, 4)
    assert held
    assert news is not None
    assert (news.destination, news.message) == (CMS, "image 4: 503")
    assert client.hget("imagechord:breaker:cms", "pause") == b"100000"
    wait_until(lambda: breaker.may_try(CMS, 6), 10, "the second probe")
    assert fail(breaker, 6) == HELD
    assert client.hget("imagechord:breaker:cms", "pause") == b"200000"


def test_the_pause_never_exceeds_the_longest(client: redis.Redis) -> None:
    """A night's outage is probed as often as its first minutes."""
    breaker = Breaker(client, INSTANT)
    fail(breaker, 1, 2, 3)
    for image in range(4, 20):
        wait_until(lambda image=image: breaker.may_try(CMS, image), 10, "a probe")  # type: ignore[misc]
        fail(breaker, image)
    assert client.hget("imagechord:breaker:cms", "pause") == b"1000"


def test_a_probe_that_is_never_heard_of_is_given_up(client: redis.Redis) -> None:
    """Its worker died: after the longest pause another image is the probe."""
    breaker = Breaker(client, INSTANT)
    fail(breaker, 1, 2, 3)
    wait_until(lambda: breaker.may_try(CMS, 4), 10, "a probe")
    wait_until(lambda: breaker.may_try(CMS, 5), 10, "another probe")


@pytest.mark.parametrize("told", [True, False])
def test_a_success_closes_it_and_tells_those_who_were_told(client: redis.Redis, told: bool) -> None:
    """Of all who succeed one hears that people are waiting for the news, if there were any."""
    breaker, others = Breaker(client, BRIEF), [Breaker(client, BRIEF) for _ in range(8)]
    fail(breaker, 1, 2, 3)
    if told:
        wait_until(lambda: breaker.may_try(CMS, 4), 10, "a probe")
        fail(breaker, 4)
    for each in others:
        each.look()
    with ThreadPoolExecutor(8) as threads:
        ended = [outage for outage in threads.map(lambda each: each.succeeded(CMS), others) if outage is not None]
    assert len(ended) == int(told)
    assert breaker.may_try(CMS, 9), "it asks, because it believes that delivery is held"
    before = commands(client)
    assert breaker.may_try(CMS, 10)
    assert commands(client) - before == 1, "and does not ask again"
    assert breaker.look() == []
    assert fail(breaker, 11, 12) == NOT_HELD


def test_redis_that_lost_its_data_holds_nothing(client: redis.Redis) -> None:
    """Then delivery is tried, and found out about anew."""
    breaker = Breaker(client, LONG)
    fail(breaker, 1, 2, 3)
    client.flushall()
    assert breaker.may_try(CMS, 4)
    assert breaker.look() == []


def test_nothing_is_kept_for_ever(client: redis.Redis) -> None:
    """Failures, and an outage that nobody probes any more, are forgotten after some minutes."""
    breaker = Breaker(client, BRIEF)
    fail(breaker, 1, 2)
    keys = client.keys("imagechord:breaker:*")
    assert isinstance(keys, list)
    assert len(keys) == 2
    assert all(0 < int(client.pttl(key)) <= 600_000 for key in keys)  # type: ignore[arg-type]
    fail(breaker, 3)
    assert 0 < int(client.pttl("imagechord:breaker:cms")) <= 1_200_000  # type: ignore[arg-type]


def _fail_in_another_process(url: str, image: int) -> None:
    with redis.Redis.from_url(url) as client:
        fail(Breaker(client, LONG), image)


def test_failures_of_several_processes_add_up(client: redis.Redis, valkey_url: str) -> None:
    """Three workers with one failure each hold the delivery for a fourth that has met none."""
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_fail_in_another_process, args=(valkey_url, image)) for image in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    breaker = Breaker(client, LONG)
    assert [outage.destination for outage in breaker.look()] == [CMS]
    assert not breaker.may_try(CMS, 9)
