"""What a cluster's processes have observed, as counters that may be added up: how long steps took, what sweeps found.

Each counter is a whole number under a field of text, so that many processes can add to one hash in Redis.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import NamedTuple

BOUNDS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0)
"""Upper ends of the buckets: from a patch of a quick CMS to the deadline of a slow model."""

_STEP, _SUM, _SWEEPS, _FOUND = "step", "sum", "sweeps", "found"


class Timed(NamedTuple):
    """What was timed. ``outcome`` is done or failed."""

    step: str
    model: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Durations:
    """``counts`` has one number for each bound, and one for what took longer."""

    counts: tuple[int, ...]
    sum_seconds: float

    @property
    def cumulative(self) -> list[tuple[float, int]]:
        """Each bound in seconds, the last one infinite, with how many took no longer."""
        return list(zip((*BOUNDS_SECONDS, inf), accumulate(self.counts), strict=True))


@dataclass(frozen=True, slots=True)
class Observed:
    """``found`` is what sweeps have put right, by what it was."""

    durations: Mapping[Timed, Durations]
    sweeps: int
    found: Mapping[str, int]


def of_duration(timed: Timed, seconds: float) -> dict[str, int]:
    """What to add for one run of a step."""
    bound = (*BOUNDS_SECONDS, inf)[_bucket(seconds)]
    return {_field(_STEP, *timed, str(bound)): 1, _field(_STEP, *timed, _SUM): round(seconds * 1e6)}


def of_sweep() -> dict[str, int]:
    """What to add for one sweep."""
    return {_field(_SWEEPS): 1}


def of_finding(what: str, number: int) -> dict[str, int]:
    """What to add for ``number`` things that a sweep has found."""
    return {_field(_FOUND, what): number}


def read(fields: Mapping[bytes, bytes]) -> Observed:
    """Make sense of all counters; those of another version's buckets go to the next larger one of ours."""
    counts: defaultdict[Timed, Counter[int]] = defaultdict(Counter)
    micros: Counter[Timed] = Counter()
    plain: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for field, value in fields.items():
        match json.loads(field):
            case [str(kind), step, model, outcome, str(end)] if kind == _STEP and end == _SUM:
                micros[Timed(step, model, outcome)] += int(value)
            case [str(kind), step, model, outcome, str(bound)] if kind == _STEP:
                counts[Timed(step, model, outcome)][_bucket(float(bound))] += int(value)
            case [str(kind), what] if kind == _FOUND:
                found[what] += int(value)
            case [str(kind)]:
                plain[kind] += int(value)
    durations = {timed: _durations(counts[timed], micros[timed]) for timed in sorted(counts)}
    return Observed(durations, plain[_SWEEPS], dict(sorted(found.items())))


def _durations(counts: Mapping[int, int], micros: int) -> Durations:
    return Durations(tuple(counts.get(number, 0) for number in range(len(BOUNDS_SECONDS) + 1)), micros / 1e6)


def _bucket(seconds: float) -> int:
    return bisect_left(BOUNDS_SECONDS, seconds)


def _field(*parts: str) -> str:
    return json.dumps(parts, ensure_ascii=False)
