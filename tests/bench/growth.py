"""How a figure grows with the size of the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

_FLAT = 1.25
_FAR_APART = 5
_LINEAR = 1.5


@dataclass(frozen=True)
class Growth:
    """``kind`` is flat, falling, linear, less or more than linear; the rest is the line through both ends."""

    kind: str
    fixed: float
    per_thousand: float


def growth(values: Mapping[int, float]) -> Growth | None:
    """Judge values by size: flat is within a quarter, linear when the slopes differ by less than a half.

    ``None`` for sizes that are too close to each other to judge.
    """
    if not values or max(values) < _FAR_APART * min(values):
        return None
    points = sorted(values.items())
    (first, least), (last, most) = points[0], points[-1]
    per_thousand = (most - least) / (last - first) * 1000
    fixed = least - per_thousand * first / 1000
    return Growth(_kind(points), fixed, per_thousand)


def _kind(points: list[tuple[int, float]]) -> str:
    values = [value for _size, value in points]
    if max(values) <= _FLAT * min(values):
        return "flat"
    if values[-1] < values[0]:
        return "falling"
    slopes = [(high - low) / (large - small) for (small, low), (large, high) in pairwise(points)]
    if slopes[-1] > _LINEAR * slopes[0]:
        return "more than linear"
    return "linear" if slopes[-1] * _LINEAR >= slopes[0] else "less than linear"
