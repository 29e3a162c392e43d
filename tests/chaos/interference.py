"""Doing what the schedule says."""

from __future__ import annotations

import json
import signal
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from random import Random
from typing import Any

from tasks.core import routing
from tasks.ledger.holding import pause, resume
from tests.chaos.crew import Crew
from tests.chaos.installation import MODEL, Installation
from tests.chaos.schedule import Event, Kind

IMAGE_QUEUES = (routing.model_queue(MODEL), routing.DELIVER_QUEUE)
ALL_QUEUES = (*IMAGE_QUEUES, routing.CONTROL_QUEUE)
_MOST_COPIES = 10
_PRIORITIES = (0, 3, 6, 9)


class Interference:
    """Acts on one installation. Copies of messages are chosen by the seed too, as far as there are any."""

    def __init__(self, installation: Installation, crew: Crew, seed: int, batch_id: str) -> None:
        self._installation, self._batch_id = installation, batch_id
        self._random = Random(f"{seed} copies")
        self._network, self._person = threading.Lock(), threading.Lock()
        self._lasting: list[threading.Thread] = []
        self.copies = 0
        self.pauses = 0
        self.paused = False
        proxy = installation.proxy
        self._acts: dict[Kind, Callable[[Event], None]] = {
            Kind.KILL: lambda event: crew.kill(event.place),
            Kind.KILL_ALL: lambda _event: crew.kill_all(),
            Kind.TERMINATE: lambda event: crew.terminate(event.place),
            Kind.FREEZE: lambda event: crew.freeze(event.place, event.seconds),
            Kind.BROKER_KEPT: lambda event: self._restart_broker(event.seconds, keep=True),
            Kind.BROKER_EMPTY: lambda event: self._restart_broker(event.seconds, keep=False),
            Kind.RESET: lambda _event: proxy.reset(),
            Kind.REFUSE: lambda event: self._meanwhile(event, self._network, proxy.refusing),
            Kind.SILENCE: lambda event: self._meanwhile(event, self._network, proxy.stalled),
            Kind.PAUSE: lambda event: self._meanwhile(event, self._person, self._pause),
            Kind.DUPLICATE: lambda _event: self._duplicate(),
        }

    def act(self, event: Event) -> None:
        """Let one event happen; what lasts goes on while this returns, but for the broker's absence."""
        self._acts[event.kind](event)

    def wait(self) -> None:
        """Until what lasts is over."""
        for each in self._lasting:
            each.join()

    def _meanwhile(
        self, event: Event, whose: threading.Lock, trouble: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Let a trouble last while the run goes on; one at a time by the same cause."""

        def last() -> None:
            with whose, trouble():
                _let_pass(event.seconds)

        thread = threading.Thread(target=last, name="chaos-trouble", daemon=True)
        thread.start()
        self._lasting.append(thread)

    @contextmanager
    def _pause(self) -> Iterator[None]:
        """A person pauses the batch for the block."""
        ledger = self._installation.services.ledger
        self.pauses, self.paused = self.pauses + 1, True
        pause(ledger, self._batch_id)
        yield
        resume(ledger, self._batch_id)
        self.paused = False

    def _restart_broker(self, seconds: float, *, keep: bool) -> None:
        """Kill the broker; it comes back with what its last snapshot had, which is older than its death, or empty."""
        valkey = self._installation.valkey
        snapshot = valkey._folder.socket.with_name("dump.rdb")
        if keep:
            self._installation.redis.save()
            _let_pass(seconds)
        assert valkey._process is not None
        valkey._process.send_signal(signal.SIGKILL)
        valkey._process.wait()
        _let_pass(seconds)
        valkey.__enter__()
        snapshot.unlink(missing_ok=True)

    def _duplicate(self) -> None:
        """Put copies of messages into their queues, as a broker does that is not sure; of some, two."""
        client = self._installation.redis
        found = [(queue, raw) for queue in lists_of(ALL_QUEUES) for raw in client.lrange(queue, 0, -1)]
        found += [_in_hand(entry) for entry in client.hvals("unacked")]
        chosen = self._random.sample(found, min(_MOST_COPIES, len(found)))
        for queue, raw in chosen + chosen[: _MOST_COPIES // 3]:
            message: dict[str, Any] = json.loads(raw)
            message["properties"]["delivery_tag"] = str(uuid.uuid4())
            client.lpush(queue, json.dumps(message))
            self.copies += 1


def _let_pass(seconds: float) -> None:
    """What is tested here is time itself."""
    threading.Event().wait(seconds)


def lists_of(queues: Iterable[str]) -> list[str]:
    """The lists in which the broker keeps what waits in these queues, one for each priority."""
    return [f"{queue}\x06\x16{priority}" if priority else queue for queue in queues for priority in _PRIORITIES]


def _in_hand(entry: bytes) -> tuple[str, str]:
    """A message that a worker has fetched, and the queue that it came from."""
    message, _exchange, queue = json.loads(entry)
    return queue, json.dumps(message)
