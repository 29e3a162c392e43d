"""Which sendings the broker still has a message about: what is under way must not be sent again."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import redis

from tasks.core.dispatch import Ticket

_PRIORITIES = (0, 3, 6, 9)
_UNACKNOWLEDGED = "unacked"


@dataclass(frozen=True, slots=True)
class UnderWay:
    """``waiting``: in a queue. ``in_hand``: fetched by a worker, dead or alive, and not acknowledged."""

    waiting: frozenset[Ticket]
    in_hand: frozenset[Ticket]


def under_way(client: redis.Redis, queues: Iterable[str]) -> UnderWay:
    """Read the queues, then what has been taken from them: a message that is taken meanwhile is seen twice.

    This is Kombu's own way of keeping messages in Redis: a list for each priority, and one hash for what is fetched.
    """
    with client.pipeline(transaction=False) as pipe:
        for queue in queues:
            for key in _lists(queue):
                pipe.lrange(key, 0, -1)
        waiting = [json.loads(message) for messages in pipe.execute() for message in messages]
    taken = [json.loads(entry)[0] for entry in cast("list[bytes]", client.hvals(_UNACKNOWLEDGED))]
    return UnderWay(frozenset(_tickets(waiting)), frozenset(_tickets(taken)))


def depths(client: redis.Redis, queues: Iterable[str]) -> dict[str, int]:
    """How many messages wait in each queue."""
    asked = list(queues)
    with client.pipeline(transaction=False) as pipe:
        for queue in asked:
            for key in _lists(queue):
                pipe.llen(key)
        lengths = iter(pipe.execute())
    return {queue: sum(next(lengths) for _ in _PRIORITIES) for queue in asked}


def _lists(queue: str) -> list[str]:
    """Where Kombu keeps a queue: a list for each priority."""
    return [f"{queue}\x06\x16{priority}" if priority else queue for priority in _PRIORITIES]


def _tickets(messages: Iterable[dict[str, Any]]) -> Iterator[Ticket]:
    for message in messages:
        arguments = json.loads(base64.b64decode(message["body"]))[0]
        # The three steps of an image carry its id and the number of the sending; nothing else begins with a number.
        if len(arguments) == 2 and isinstance(arguments[0], int):
            yield Ticket(*arguments)
