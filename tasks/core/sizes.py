"""From the asked size to what a model can draw, so that cropping and resizing afterwards lose least.

For all models the nearest shape comes first (the crop throws away least), then the smallest picture that covers
the asked size (nothing is enlarged), else the largest there is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.core.catalogue import AnySize, AspectSizes, ExactSizes, ListedSizes, SizeRule
from tasks.core.pictures import Size


@dataclass(frozen=True, slots=True)
class NativeSize:
    """What the model is asked for. ``size`` is an estimate where the provider takes only a shape and a class.

    ``parameters`` are the provider's own names and values that ask for it.
    """

    size: Size
    parameters: Mapping[str, str]


def native(rule: SizeRule, asked: Size) -> NativeSize:
    """Choose the native size for an asked one. Every rule has an answer; the best may still be too small."""
    if isinstance(rule, AnySize):
        return NativeSize(asked, {})
    if isinstance(rule, AspectSizes):
        return _by_aspect_ratio(rule, asked)
    size = _exact(rule, asked) if isinstance(rule, ExactSizes) else _listed(rule, asked)
    return NativeSize(size, {rule.parameter: str(size)})


def parse_ratio(text: str) -> float:
    """``16:9`` → 1.77…. Raises ValueError for anything else."""
    width, height = (int(part) for part in text.split(":"))
    if width < 1 or height < 1:
        raise ValueError(text)
    return width / height


def _by_aspect_ratio(rule: AspectSizes, asked: Size) -> NativeSize:
    """Try every shape and class; the area of a class is the same for all shapes."""
    candidates = {
        (shape, resolution): _stretched(side, parse_ratio(shape))
        for shape in rule.aspect_ratios
        for resolution, side in rule.resolutions.items()
    }
    shape, resolution = min(
        candidates, key=lambda choice: _preference(candidates[choice], parse_ratio(choice[0]), asked)
    )
    return NativeSize(candidates[shape, resolution], {"aspect_ratio": shape, rule.parameter: resolution})


def _stretched(side: int, ratio: float) -> Size:
    """A square of that side, drawn out to a ratio with the same area."""
    stretch = math.sqrt(ratio)
    return Size(round(side * stretch), round(side / stretch))


def _listed(rule: ListedSizes, asked: Size) -> Size:
    sizes = [Size.parse(text) for text in rule.sizes]
    return min(sizes, key=lambda size: _preference(size, size.width / size.height, asked))


def _exact(rule: ExactSizes, asked: Size) -> Size:
    """Grow the asked size to the allowed shape, to multiples and to the fewest pixels; shrink it to the most."""
    width = max(asked.width, asked.height / rule.max_ratio)
    height = max(asked.height, asked.width / rule.max_ratio)
    pixels = width * height
    if pixels < rule.min_pixels:
        grow = math.sqrt(rule.min_pixels / pixels)
        width, height = width * grow, height * grow
    size = Size(_up(width, rule.multiple_of), _up(height, rule.multiple_of))
    if size.width * size.height > rule.max_pixels:
        shrink = min(1.0, math.sqrt(rule.max_pixels / (width * height)))
        size = Size(_down(width * shrink, rule.multiple_of), _down(height * shrink, rule.multiple_of))
    return _within_ratio(size, rule)


def _within_ratio(size: Size, rule: ExactSizes) -> Size:
    """Rounding to multiples may leave the allowed shape by a step: cut the longer side back."""
    longest = _down(min(size.width, size.height) * rule.max_ratio, rule.multiple_of)
    return Size(min(size.width, longest), min(size.height, longest))


def _up(value: float, multiple: int) -> int:
    return math.ceil(round(value / multiple, 6)) * multiple


def _down(value: float, multiple: int) -> int:
    return max(math.floor(round(value / multiple, 6)), 1) * multiple


def _preference(size: Size, ratio: float, asked: Size) -> tuple[float, bool, int]:
    """Sort key: the shape that keeps most when cropped; then the smallest that covers, else the largest.

    The share that is kept is rounded, so that shapes that are meant to be equal stay equal.
    """
    asked_ratio = asked.width / asked.height
    kept = round(min(ratio, asked_ratio) / max(ratio, asked_ratio), 6)
    covers, pixels = size.covers(asked), size.width * size.height
    return (-kept, not covers, pixels if covers else -pixels)
