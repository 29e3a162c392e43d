"""A private Valkey, emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tasks.devstack.valkey import EmbeddedValkey
from tasks.limits.epoch import begin_epoch


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A broker of this session's own."""
    with EmbeddedValkey() as valkey:
        yield valkey.url


@pytest.fixture
def client(valkey_url: str) -> Iterator[redis.Redis]:
    """A connection to it; nothing is in it but its epoch."""
    with redis.Redis.from_url(valkey_url) as connected:
        connected.flushall()
        begin_epoch(connected, lambda pipe: None)
        yield connected
