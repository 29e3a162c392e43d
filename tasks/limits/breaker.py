"""The breaker of deliveries: a destination that takes nothing is left alone by the whole cluster, and probed.

Redis and its clock hold the state; where Redis has lost it, delivery is not held. While all is well nothing is asked:
each process goes by what its own failures, and its lease's :meth:`Breaker.look`, have told it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import redis

from tasks.core.errors import ErrorClass
from tasks.core.outages import DESTINATIONS, Outage
from tasks.limits.scripts import registered

_MEMORY_MICROS = 600_000_000
"""Failures that are further apart than this are not in a row."""


class Verdict(NamedTuple):
    """What a failure has come to. ``news``: people are to be told of the outage, by whoever gets this."""

    held: bool
    news: Outage | None = None


@dataclass(frozen=True, slots=True)
class OutageRules:
    """So many different images in a row open it; then a pause before each probe, twice as long after each failed one.

    The longest pause is also how long a probe may take before another image is the probe.
    """

    failures_in_a_row: int = 5
    pause_seconds: float = 5.0
    longest_pause_seconds: float = 60.0


class Breaker:
    """One per process, for all destinations. Commands raise redis.RedisError."""

    def __init__(self, client: redis.Redis, rules: OutageRules) -> None:
        self._client = client
        self._rules = rules
        self._failed, self._admit = (registered(client, f"breaker_{name}") for name in ("failed", "admit"))
        self._doubted: set[str] = set()  # destinations that have failed since they last worked, as far as is known here
        self._held: set[str] = set()  # of these, those that are known to be held

    def may_try(self, destination: str, image_id: int) -> bool:
        """Whether this image may be delivered now; with a yes while delivery is held, it is the cluster's probe."""
        if destination not in self._held:
            return True
        longest_micros = round(self._rules.longest_pause_seconds * 1e6)
        answer = self._admit(keys=[_key(destination)], args=[image_id, longest_micros])
        if answer == b"closed":
            self._believe(destination, failing=False, held=False)
        return bool(answer != b"held")

    def failed(self, destination: str, image_id: int, error_class: ErrorClass, message: str, *, first: bool) -> Verdict:
        """Count a failure. Only an image's ``first`` opens the breaker: later ones may be the image's own trouble."""
        rules = self._rules
        pauses = (round(seconds * 1e6) for seconds in (rules.pause_seconds, rules.longest_pause_seconds))
        held, since, tell = self._failed(
            keys=[_key(destination), _key(destination, "images")],
            args=[image_id, error_class, message, int(first), rules.failures_in_a_row, *pauses, _MEMORY_MICROS],
        )
        self._believe(destination, failing=True, held=bool(held))
        return Verdict(bool(held), Outage(destination, _moment(since), error_class, message) if tell else None)

    def succeeded(self, destination: str) -> Outage | None:
        """The destination lives: count anew, and hold nothing. Returns the outage that ends if people know of it."""
        if destination not in self._doubted:
            return None
        with self._client.pipeline(transaction=True) as pipe:
            _ask(pipe, destination)
            pipe.delete(_key(destination), _key(destination, "images"))
            found, _deleted = pipe.execute()
        self._believe(destination, failing=False, held=False)
        return _read(destination, found, 0.0) if found[_TOLD] else None

    def look(self) -> list[Outage]:
        """What is held now, in one round trip; this process goes by it from here on."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            for destination in DESTINATIONS:
                _ask(pipe, destination)
            (seconds, micros), *answers = pipe.execute()
        outages = []
        for destination, found in zip(DESTINATIONS, answers, strict=True):
            outage = _read(destination, found, seconds * 1e6 + micros)
            self._believe(destination, failing=found[_CLASS] is not None, held=outage is not None)
            outages += [outage] if outage else []
        return outages

    def _believe(self, destination: str, *, failing: bool, held: bool) -> None:
        """Threads may overtake each other here: a wrong belief costs a question more, or a delivery that fails."""
        (self._doubted.add if failing else self._doubted.discard)(destination)
        (self._held.add if held else self._held.discard)(destination)


_FIELDS = ("since", "until", "class", "message", "probe_until", "told")
_SINCE, _UNTIL, _CLASS, _MESSAGE, _PROBE_UNTIL, _TOLD = range(len(_FIELDS))


def _ask(pipe: Any, destination: str) -> None:
    pipe.hmget(_key(destination), _FIELDS)


def _read(destination: str, found: Sequence[bytes | None], now_micros: float) -> Outage | None:
    if found[_SINCE] is None:
        return None
    due = now_micros >= max(float(found[_UNTIL] or 0), float(found[_PROBE_UNTIL] or 0))
    error_class, message = ((found[field] or b"").decode() for field in (_CLASS, _MESSAGE))
    return Outage(destination, _moment(found[_SINCE]), error_class, message, probe_due=due)


def _moment(micros: Any) -> datetime:
    return datetime.fromtimestamp(float(micros) / 1e6, UTC)


def _key(destination: str, part: str = "") -> str:
    return f"imagechord:breaker:{destination}" + (f":{part}" if part else "")
