"""Telling a batch's webhook what has happened, signed by the Standard Webhooks specification."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tasks.core import standard_webhooks as signed
from tasks.core.errors import Account, Overloaded, RateLimited, StepError
from tasks.core.events import Event, body, message_id
from tasks.delivery.guarded import GuardedCaller

logger = logging.getLogger(__name__)

_GONE = 410
_LANES = 8
"""Connections of this process, for all batches together: a slow receiver costs threads, never a worker's slots."""


class Gone(Account):
    """The receiver has said that it wants to be told no more (410)."""


class Webhooks:
    """Tells events. One per process, for many threads; ``secret`` is what they are signed with.

    ``ledger_id`` is part of an event's name. ``allow_private`` also allows http and hosts of this machine and of
    private networks. Raises ConfigurationError for a secret that cannot be one.
    """

    def __init__(self, secret: str, ledger_id: str, *, allow_private: bool, total_seconds: float = 10.0) -> None:
        signed.sign(secret, "evt_0", 0, b"")  # a bad secret shows now
        self._secret = secret
        self._ledger_id = ledger_id
        self._http = GuardedCaller("the webhook", "its URL", allow_private=allow_private, total_seconds=total_seconds)
        self._lanes = ThreadPoolExecutor(_LANES, thread_name_prefix="imagechord-webhook")

    def tell(self, url: str, events: Sequence[Event], within_seconds: float) -> dict[int, StepError | None]:
        """Post events and return what became of each one that was tried, by id: ``None`` for success.

        Several at once, but those of one image one after the other, and a batch's own before and after everything
        else as they stand. After the first failure, or ``within_seconds``, no other is begun.
        """
        round_ = _Round(time.monotonic() + within_seconds)
        for lanes in _in_order(events):
            list(self._lanes.map(partial(self._tell_lane, url, round_), lanes))
        return round_.outcomes

    def _tell_lane(self, url: str, round_: _Round, events: Sequence[Event]) -> None:
        for event in events:
            if round_.is_over:
                return
            try:
                self._post(url, event)
            except StepError as error:
                round_.note(event, error)
            except Exception as error:
                logger.exception("%s: unexpected error in telling event %d", event.batch_id, event.id)
                round_.note(event, Account(f"unexpected {type(error).__name__}: {error}"))
            else:
                round_.note(event, None)

    def _post(self, url: str, event: Event) -> None:
        """Post one event. Only 2xx is success; redirects are not followed. Raises StepError."""
        content, name, now = body(event), message_id(self._ledger_id, event.id), int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "imagechord",
            signed.ID: name,
            signed.TIMESTAMP: str(now),
            signed.SIGNATURE: signed.sign(self._secret, name, now, content),
        }
        answer = self._http.call("POST", url, content, headers=headers)
        if 200 <= answer.status < 300:
            return
        # What it says besides is nobody's business: it may be any page of any server.
        told = f"the webhook answered {answer.status}"
        if answer.status == _GONE:
            raise Gone(f"{told}: it wants no more of this batch")
        kind = RateLimited if answer.status == 429 else Overloaded if answer.status >= 500 else Account
        raise kind(told, retry_after_seconds=answer.retry_after_seconds)


class _Round:
    """What has come of the events that several lanes are telling."""

    def __init__(self, until: float) -> None:
        self.outcomes: dict[int, StepError | None] = {}
        self._until = until
        self._failed = threading.Event()

    @property
    def is_over(self) -> bool:
        return self._failed.is_set() or time.monotonic() > self._until

    def note(self, event: Event, error: StepError | None) -> None:
        self.outcomes[event.id] = error
        if error is not None:
            self._failed.set()


def _in_order(events: Sequence[Event]) -> Iterator[list[list[Event]]]:
    """What may be told at the same time: a lane for each image, until something happened to the batch itself."""
    lanes: dict[int, list[Event]] = {}
    for event in events:
        if event.image_id is not None:
            lanes.setdefault(event.image_id, []).append(event)
            continue
        yield list(lanes.values())
        yield [[event]]
        lanes = {}
    yield list(lanes.values())
