"""Since when the broker has its data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import redis

from tasks.limits.epoch import broker_epoch


def test_the_epoch_is_the_first_look(client: redis.Redis) -> None:
    """Everybody who looks later is told the same moment."""
    first = broker_epoch(client)
    assert datetime.now(UTC) - first < timedelta(seconds=5)
    assert broker_epoch(client) == first


def test_a_broker_that_was_emptied_begins_anew(client: redis.Redis) -> None:
    """What was sent before is lost, and the epoch says so."""
    first = broker_epoch(client)
    client.flushall()
    assert broker_epoch(client) > first
