"""One Redis client for all of a worker's broker commands, where Kombu makes a new one for each."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from kombu.transport import redis

_Channel: Any = redis.Channel


class OneClient(bootsteps.Step):
    """Makes Kombu's channels keep their client, in the worker's own process only.

    Building a ``redis.Redis`` costs more than sending the command (measured: 7 to 9 % of a worker's processor
    time). It holds a connection pool and nothing else, so threads may share it. A custom transport would do it
    too, but needs a URL scheme of its own, which Flower does not know.
    """

    def __init__(self, worker: Any, **_options: Any) -> None:
        super().__init__(worker)
        if not hasattr(_Channel, "kept_client"):
            _Channel.kept_client = None
            _Channel._create_client = _keeping(_Channel._create_client)  # noqa: SLF001 – there is no public way


def _keeping(create: Any) -> Any:
    def _create_client(channel: Any, asynchronous: bool = False) -> Any:
        if asynchronous:
            return create(channel, asynchronous=True)
        # After a lost connection Kombu takes a new pool.
        if channel.kept_client is None or channel.kept_client.connection_pool is not channel.pool:
            channel.kept_client = create(channel)
        return channel.kept_client

    return _create_client
