"""Since when the broker has its data."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from tasks.limits.epoch import begin_epoch, broker_epoch, renew_epoch


def test_an_epoch_begins_once(client: redis.Redis) -> None:
    """Everybody who looks later is told the same moment, and what the broker holds is not restored again."""
    client.flushall()
    first = begin_epoch(client, lambda pipe: pipe.set("restored", "once"))
    assert datetime.now(UTC) - first < timedelta(seconds=5)
    assert broker_epoch(client) == first
    assert begin_epoch(client, lambda pipe: pipe.set("restored", "again")) == first
    assert client.get("restored") == b"once"


def test_of_several_who_begin_it_one_counts(client: redis.Redis) -> None:
    """Workers that find the broker empty at the same time restore it once."""
    client.flushall()

    def restore(pipe: Any) -> None:
        pipe.incr("restored")

    with ThreadPoolExecutor(8) as threads:
        moments = list(threads.map(lambda _: begin_epoch(client, restore), range(8)))
    assert len(set(moments)) == 1
    assert client.get("restored") == b"1"


def test_a_broker_that_was_emptied_says_so(client: redis.Redis) -> None:
    """What was sent before is lost: there is no epoch until somebody begins one."""
    first = broker_epoch(client)
    assert first is not None
    client.flushall()
    assert broker_epoch(client) is None
    assert begin_epoch(client, lambda pipe: None) > first


def test_a_client_that_lost_its_messages_renews_it(client: redis.Redis) -> None:
    """What was sent before counts as lost from then on; a broker that came back empty stays one."""
    before = broker_epoch(client)
    assert before is not None
    renew_epoch(client)
    after = broker_epoch(client)
    assert after is not None
    assert after > before
    client.flushall()
    renew_epoch(client)
    assert broker_epoch(client) is None
