"""What ``plan`` shows, gathered while the rows stream by: nothing here grows with their number by much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field

from tasks.core.catalogue import Catalogue
from tasks.core.cost import CostEstimate, estimate_cost, estimate_seconds
from tasks.core.fallbacks import with_fallbacks
from tasks.core.pictures import Size
from tasks.core.plan import PlannedImage, RowProblem
from tasks.core.planning import RowPlan
from tasks.core.preferences import Preferences


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a model meets an asked size: it draws ``native_size``, which is then cropped and resized."""

    model: str
    asked: Size
    native_size: Size

    @property
    def enlarged(self) -> bool:
        """Whether the native picture is smaller than the asked one, so that it must be blown up."""
        return not self.native_size.covers(self.asked)


@dataclass(slots=True)
class PlanSummary:
    """Add every :class:`RowPlan`, then read. ``samples`` is how many prompts and problems are kept to be shown."""

    catalogue: Catalogue
    preferences: Preferences
    samples: int = 3
    rows: int = 0
    bad_rows: int = 0
    problems: int = 0
    images: int = 0
    reused: int = 0
    by_model: Counter[str] = field(default_factory=Counter)
    by_template: Counter[str] = field(default_factory=Counter)
    to_buy: Counter[str] = field(default_factory=Counter)
    drawings: Counter[Drawing] = field(default_factory=Counter)
    references: set[str] = field(default_factory=set)
    """Digests of the pictures to start from."""
    first_images: list[PlannedImage] = field(default_factory=list)
    first_problems: list[RowProblem] = field(default_factory=list)
    _shared: set[str] = field(default_factory=set)

    def add(self, plan: RowPlan, paid: Container[str] = ()) -> None:
        """Count one row. ``paid`` holds fingerprints that need not be bought again."""
        self.rows += 1
        if plan.problems:
            self.bad_rows += 1
            self.problems += len(plan.problems)
            self.first_problems += plan.problems[: max(self.samples - len(self.first_problems), 0)]
        for image in plan.images:
            self._add_image(image, paid)

    def _add_image(self, image: PlannedImage, paid: Container[str]) -> None:
        self.images += 1
        self.by_model[image.model] += 1
        self.by_template[image.template] += 1
        self.references.update(each.sha256 for each in image.references)
        self.drawings[Drawing(image.model, image.size, image.native_size)] += 1
        if len(self.first_images) < self.samples:
            self.first_images.append(image)
        if image.fingerprint in paid or self._is_shared(image):
            self.reused += 1
        else:
            self.to_buy[image.model] += 1

    def _is_shared(self, image: PlannedImage) -> bool:
        """Whether an earlier row of this plan buys the same picture; only sharing templates can have any."""
        if not self.catalogue.templates[image.template].share:
            return False
        if image.fingerprint in self._shared:
            return True
        self._shared.add(image.fingerprint)
        return False

    @property
    def unpriced_models(self) -> tuple[str, ...]:
        """Models that must, or as a fallback may, be bought from, and whose price the catalogue does not know."""
        models = self.catalogue.models
        return tuple(sorted(each for each in with_fallbacks(models, self.to_buy) if models[each].price_usd is None))

    @property
    def cost(self) -> CostEstimate:
        """Cost of the images that must be bought; at its highest, all of each image's fallbacks are tried in vain."""
        models = self.catalogue.models
        parts = (
            estimate_cost(count, models[alias], self.preferences, [models[other] for other in models[alias].fallback])
            for alias, count in self.to_buy.items()
        )
        return sum(parts, CostEstimate())

    @property
    def seconds(self) -> float:
        """Time by the models' limits with one worker; models work side by side, so the slowest counts."""
        concurrency = self.preferences.worker_concurrency
        models = self.catalogue.models
        return max(
            (estimate_seconds(count, models[alias], concurrency) for alias, count in self.to_buy.items()), default=0.0
        )
