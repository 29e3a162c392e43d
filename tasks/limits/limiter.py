"""The limits of a provider's models and of the CMS, held over all workers and hosts by Redis and its clock."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import redis

from tasks.core.limits import LIMIT_NAMES, Limited, LimitState
from tasks.limits.epoch import EPOCH_KEY
from tasks.limits.scripts import registered

_HORIZON_SECONDS = 1.0
_NO_LIMIT = "none"


class Grant(NamedTuple):
    """The right to start one call, ``wait_seconds`` from now.

    ``tracked``: the call is counted as in flight until it is released. ``counted``: a token was taken for it; not so
    when the same message had one already.
    """

    wait_seconds: float
    tracked: bool
    counted: bool


class Wait(NamedTuple):
    """No right now. ``reason`` is rate, in_flight, day, pause, epoch or redis; after ``seconds`` ask again.

    A full ``in_flight`` says nothing about when: ``seconds`` is 0.0.
    """

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class _Keys:
    state: str
    pause: str
    in_flight: str

    @staticmethod
    def of(name: str) -> _Keys:
        state = f"imagechord:limit:{name}"
        return _Keys(state, f"{state}:pause", f"{state}:in_flight")


class Limiter:
    """One per process. Every decision is one round trip; commands raise redis.RedisError.

    ``member`` names a call: the same message asking again has the grant it had, while ``in_flight`` is in force.
    """

    def __init__(self, client: redis.Redis, limited: Iterable[Limited]) -> None:
        self.limited: Mapping[str, Limited] = {each.name: each for each in limited}
        self._client = client
        self._untold: dict[str, set[str]] = {}
        self._untold_lock = threading.Lock()
        self._take, self._refund, self._throttle, self._state = (
            registered(client, name) for name in ("take", "refund", "throttle", "state")
        )

    def take(self, name: str, member: str, horizon_seconds: float = _HORIZON_SECONDS) -> tuple[Grant | Wait, float]:
        """Ask for the start of one call, at most ``horizon_seconds`` ahead.

        Returns the answer and the seconds between two starts, 0.0 where there is no rate.
        """
        if name in self._untold:
            self.release(name)
        keys, limited = _Keys.of(name), self.limited[name]
        limits = limited.limits
        granted, wait_micros, kind, interval_micros = self._take(
            keys=[keys.state, keys.pause, keys.in_flight, EPOCH_KEY],
            args=[
                member,
                _written(limits.per_minute),
                _written(limits.in_flight),
                _written(limits.per_day),
                limited.utc_offset_seconds(datetime.now(UTC)),
                round(horizon_seconds * 1e6),
                round(limited.longest_seconds * 1e6),
            ],
        )
        wait_seconds = wait_micros / 1e6
        answer = (
            Grant(wait_seconds, tracked=kind != b"new", counted=kind != b"held")
            if granted
            else Wait(wait_seconds, kind.decode())
        )
        return answer, interval_micros / 1e6

    def release(self, name: str, *members: str) -> None:
        """Calls have ended: others may start. What Redis does not hear of now is told with the next question."""
        with self._untold_lock:
            ended = self._untold.pop(name, set()).union(members)
        try:
            if ended:
                self._client.zrem(_Keys.of(name).in_flight, *ended)
        except redis.RedisError:
            self._tell_later(name, ended)
            raise

    def refund(self, name: str, member: str, grant: Grant) -> None:
        """No call was made: rate, day and calls in flight are as if it had not been asked for."""
        keys = _Keys.of(name)
        offset = self.limited[name].utc_offset_seconds(datetime.now(UTC))
        try:
            self._refund(keys=[keys.state, keys.in_flight], args=[member, offset, int(grant.counted)])
        except redis.RedisError:
            self._tell_later(name, {member})
            raise

    def _tell_later(self, name: str, ended: set[str]) -> None:
        with self._untold_lock:
            self._untold.setdefault(name, set()).update(ended)

    def paused_seconds(self, name: str) -> float:
        """How long the pause that is on will last; 0.0 when there is none."""
        return max(0, int(self._client.pttl(_Keys.of(name).pause))) / 1000

    def pause(self, name: str, seconds: float) -> None:
        """Let nothing start anywhere for ``seconds``; a longer pause that is on already stays."""
        key, milliseconds = _Keys.of(name).pause, max(1, round(seconds * 1000))
        with self._client.pipeline(transaction=True) as both:
            both.set(key, "1", px=milliseconds, nx=True)
            both.pexpire(key, milliseconds, gt=True)
            both.execute()

    def throttled(self, name: str, pause_seconds: float) -> None:
        """The other side answered 429: pause everybody and go slower than before.

        Answers that come while paused, or within a second of the last step down, are one event.
        """
        keys = _Keys.of(name)
        args: list[int | str] = [max(1, round(pause_seconds * 1000)), _written(self.limited[name].limits.per_minute)]
        self._throttle(keys=[keys.state, keys.pause], args=args)

    def override(self, name: str, limits: Mapping[str, float | None]) -> None:
        """Put these limits before the catalogue's, for everybody and at once; those left out are the catalogue's."""
        with self._client.pipeline(transaction=True) as pipe:
            write_override(pipe, name, limits)
            pipe.execute()

    def state(self, name: str) -> LimitState:
        """How one limit stands."""
        return self.states([name])[0]

    def states(self, names: Sequence[str] | None = None) -> list[LimitState]:
        """How several limits stand, in one round trip; all of them by default."""
        asked = list(self.limited) if names is None else names
        now = datetime.now(UTC)
        with self._client.pipeline(transaction=False) as pipe:
            for name in asked:
                keys = _Keys.of(name)
                offset = self.limited[name].utc_offset_seconds(now)
                self._state(keys=[keys.state, keys.pause, keys.in_flight], args=[offset], client=pipe)
            answers = pipe.execute()
        return [_read_state(self.limited[name], answer) for name, answer in zip(asked, answers, strict=True)]


def write_override(pipe: Any, name: str, limits: Mapping[str, float | None]) -> None:
    """The commands that make Redis know an operator's limits, and no others."""
    key = _Keys.of(name).state
    pipe.hdel(key, *(f"override.{limit}" for limit in LIMIT_NAMES))
    if limits:
        written = {limit: _NO_LIMIT if value is None else _written(value) for limit, value in limits.items()}
        pipe.hset(key, mapping={f"override.{limit}": value for limit, value in written.items()})


def write_calls(pipe: Any, limited: Limited, now: datetime, members: Iterable[str], calls_today: int) -> None:
    """The commands that make Redis know what is in flight, and how many calls the provider's day has seen."""
    keys, until = _Keys.of(limited.name), (now.timestamp() + limited.longest_seconds) * 1e6
    flying = dict.fromkeys(members, f"{until:.0f}")
    if flying:
        pipe.zadd(keys.in_flight, flying)
        pipe.expire(keys.in_flight, round(limited.longest_seconds) + 60)
    day = int(now.timestamp() + limited.utc_offset_seconds(now)) // 86400
    pipe.hset(keys.state, mapping={"day": day, "today": calls_today})


def _read_state(limited: Limited, answer: Sequence[bytes]) -> LimitState:
    per_minute, in_flight, per_day, found, flying, today, paused, midnight, pace = (each.decode() for each in answer)
    limits = limited.limits
    in_force_per_day = _in_force(per_day, limits.per_day)
    used_up = in_force_per_day is not None and int(today) >= in_force_per_day
    at_once = _in_force(in_flight, limits.in_flight)
    return LimitState(
        name=limited.name,
        per_minute=_in_force(per_minute, limits.per_minute),
        in_flight=None if at_once is None else round(at_once),
        per_day=None if in_force_per_day is None else round(in_force_per_day),
        overridden=tuple(n for n, value in zip(LIMIT_NAMES, (per_minute, in_flight, per_day), strict=True) if value),
        found_per_minute=float(found) if found else None,
        in_flight_now=int(flying),
        started_today=int(today),
        paused_seconds=max(int(paused), int(midnight) if used_up else 0) / 1e6,
        pace_per_minute=float(pace),
    )


def _in_force(override: str, configured: float | None) -> float | None:
    if not override:
        return configured
    return None if override == _NO_LIMIT else float(override)


def _written(limit: float | None) -> str:
    return "" if limit is None else f"{limit:.17g}"
