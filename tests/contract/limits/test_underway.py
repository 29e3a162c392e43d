"""What the broker still has a message about, read from what Celery and Kombu have written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis
from celery import Celery
from kombu import Connection

from tasks.core.dispatch import Ticket
from tasks.limits.underway import UnderWay, under_way


@pytest.fixture
def kombu_url(valkey_url: str) -> str:
    """The broker as Kombu writes it."""
    return valkey_url.replace("unix://", "redis+socket://").replace("db=0", "virtual_host=0")


@pytest.fixture
def shop(kombu_url: str) -> Iterator[Celery]:
    """Somebody who sends."""
    with closing(Celery("shop", broker=kombu_url, set_as_current=False)) as app:
        yield app


def test_each_sending_is_told_apart(client: redis.Redis, shop: Celery, kombu_url: str) -> None:
    """A message that a worker took and lost does not stand for the next sending of its image, which may be lost too."""
    shop.send_task("imagechord.generate.quick", args=(7, 1), queue="quick")
    with Connection(kombu_url) as taker, closing(taker.SimpleQueue("quick")) as queue:
        queue.get(timeout=10)
        assert under_way(client, ["quick"]) == UnderWay(frozenset(), frozenset({Ticket(7, 1)}))
        shop.send_task("imagechord.generate.quick", args=(7, 2), queue="quick", priority=6)
        assert under_way(client, ["quick"]) == UnderWay(frozenset({Ticket(7, 2)}), frozenset({Ticket(7, 1)}))
