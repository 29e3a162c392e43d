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
    match rule:
        case AnySize():
            return NativeSize(asked, {})
        case AspectSizes():
            return _by_aspect_ratio(rule, asked)
        case ExactSizes():
            size = _exact(rule, asked)
            return NativeSize(size, {rule.parameter: str(size)})
        case ListedSizes():
            size = min((Size.parse(text) for text in rule.sizes), key=lambda size: _preference(size, asked))
            return NativeSize(size, {rule.parameter: str(size)})


def parse_ratio(text: str) -> float:
    """``16:9`` → 1.77…. Raises ValueError for anything else."""
    width, height = (int(part) for part in text.split(":"))
    if width < 1 or height < 1:
        raise ValueError(text)
    return width / height


def _by_aspect_ratio(rule: AspectSizes, asked: Size) -> NativeSize:
    """Try every shape and class; the area of a class is the same for all shapes."""

    def picture(shape: str, side: int) -> Size:
        stretch = math.sqrt(parse_ratio(shape))
        return Size(round(side * stretch), round(side / stretch))

    candidates = {
        (shape, resolution): picture(shape, side)
        for shape in rule.aspect_ratios
        for resolution, side in rule.resolutions.items()
    }
    shape, resolution = min(
        candidates,
        key=lambda choice: (
            -_kept(parse_ratio(choice[0]), asked.width / asked.height),
            *_fit(candidates[choice], asked),
        ),
    )
    return NativeSize(candidates[shape, resolution], {"aspect_ratio": shape, "resolution": resolution})


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


def _preference(size: Size, asked: Size) -> tuple[float, bool, int]:
    """Sort key: best shape first, then as :func:`_fit`."""
    return (-_kept(size.width / size.height, asked.width / asked.height), *_fit(size, asked))


def _fit(size: Size, asked: Size) -> tuple[bool, int]:
    """Sort key among pictures of one shape: the smallest that covers, else the largest."""
    covers, pixels = _covers(size, asked), size.width * size.height
    return (not covers, pixels if covers else -pixels)


def _covers(size: Size, asked: Size) -> bool:
    return size.width >= asked.width and size.height >= asked.height


def _kept(ratio: float, asked_ratio: float) -> float:
    """The share of the picture that a crop to the asked shape keeps, rounded so that equals stay equal."""
    return round(min(ratio, asked_ratio) / max(ratio, asked_ratio), 6)
