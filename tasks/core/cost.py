"""What a batch costs and how long it takes, before it is started."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from tasks.core.catalogue import ModelSpec
from tasks.core.money import MICROS_PER_USD, usd_micros
from tasks.core.preferences import ManualDesign, Preferences

ARTICLE_VOLUMES = (100, 1_000, 10_000, 100_000)
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """In micro-dollars.

    ``low``: every image comes at the first try; ``expected``: with the usual retries; ``high``: every image
    needs its last try, with the last of its model's fallbacks. ``unpriced`` counts images whose model has no price;
    they are in none of the three.
    """

    low: int = 0
    expected: int = 0
    high: int = 0
    unpriced: int = 0

    def __add__(self, other: CostEstimate) -> CostEstimate:
        return CostEstimate(
            self.low + other.low,
            self.expected + other.expected,
            self.high + other.high,
            self.unpriced + other.unpriced,
        )


def estimate_cost(
    images: int, model: ModelSpec, preferences: Preferences, fallbacks: Iterable[ModelSpec] = ()
) -> CostEstimate:
    """Cost of so many images of one model, from its list price and surcharge, and from those of its fallbacks."""
    price = model.price_usd_micros
    if price is None:
        return CostEstimate(unpriced=images)
    dearest = price + sum(other.price_usd_micros or 0 for other in fallbacks)
    low, high = images * price, images * dearest * preferences.max_attempts
    expected = _rounded(low * (1 + preferences.retry_margin_percent / 100))
    return CostEstimate(low, min(expected, high), high)


def estimate_seconds(images: int, model: ModelSpec, concurrency: int) -> float:
    """Time for so many images of one model, by its limits, its typical call and ``concurrency`` calls at once."""
    limits = model.limits
    per_second = images_per_second(limits.per_minute, limits.in_flight, model.typical_seconds, concurrency)
    if not limits.per_day:
        return images / per_second
    whole_days = max(images - 1, 0) // limits.per_day
    rest = images - whole_days * limits.per_day
    return max(images / per_second, whole_days * SECONDS_PER_DAY + rest / per_second)


def images_per_second(
    per_minute: float | None, in_flight: int | None, typical_seconds: float, concurrency: int
) -> float:
    """A model's pace by its limits (``None`` is no limit), its typical call and ``concurrency`` calls at once."""
    per_second = min(concurrency, in_flight or concurrency) / typical_seconds
    return per_second if per_minute is None else min(per_second, per_minute / 60)


@dataclass(frozen=True, slots=True)
class ManualCost:
    """Manual design of the same pictures. ``high`` is ``None`` for "and more"; not ``possible``: nobody could."""

    low: int
    high: int | None
    possible: bool


def manual_cost(images: int, manual: ManualDesign) -> ManualCost:
    """What people charge for so many images, in micro-dollars."""
    low = images * usd_micros(manual.usd_per_image_low)
    open_ended = images >= manual.open_ended_from_images
    high = None if open_ended else images * usd_micros(manual.usd_per_image_high)
    return ManualCost(low, high, possible=images < manual.impossible_from_images)


@dataclass(frozen=True, slots=True)
class CostRow:
    """One line of the table: amounts by model alias, ``None`` where a model has no price; manual beside them."""

    images: int
    usd_micros_by_model: Mapping[str, int | None]
    manual: ManualCost


def cost_table(
    models: Iterable[ModelSpec], manual: ManualDesign, volumes: Iterable[int] = ARTICLE_VOLUMES
) -> tuple[CostRow, ...]:
    """The article's table: numbers of images × models at list price and surcharge, manual design beside them."""
    prices = {model.alias: model.price_usd_micros for model in models}
    return tuple(
        CostRow(
            images=images,
            usd_micros_by_model={alias: None if price is None else price * images for alias, price in prices.items()},
            manual=manual_cost(images, manual),
        )
        for images in volumes
    )


def won(micros: int, krw_per_usd: Decimal) -> int:
    """Micro-dollars in whole won."""
    return _rounded(micros * krw_per_usd / MICROS_PER_USD)


def _rounded(amount: Decimal) -> int:
    return int(amount.to_integral_value(rounding=ROUND_HALF_UP))
