"""When a model gives up: its images go on with the next model of the asked one's chain that can take them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from threading import Lock
from time import monotonic
from typing import NoReturn

from tasks import graph
from tasks.core import routing
from tasks.core.catalogue import ModelSpec
from tasks.core.errors import ErrorClass, NoRoom, StagingFailed, StepError, Superseded
from tasks.core.fallbacks import STAYS, Drawn, Onward, Order, after, drawn_by, given_up, leads_on
from tasks.core.retirement import has_retired
from tasks.core.retry import Decision
from tasks.health import provider
from tasks.ledger import falling_back, holding, leases
from tasks.ledger.falling_back import Stuck
from tasks.ledger.retrying import PlannedBy, planned_by
from tasks.ledger.rows import Claim
from tasks.services import Services
from tasks.steps.ending import left_to_the_sweep

logger = logging.getLogger(__name__)

_BELIEVED_SECONDS = 60.0


class _Usable:
    """Which providers can be used from here, looked up once a minute: a check may run a program."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: dict[str, tuple[float, bool]] = {}

    def __call__(self, services: Services, name: str) -> bool:
        with self._lock:
            found_at, usable = self._found.get(name, (0.0, False))
            if name not in self._found or monotonic() - found_at > _BELIEVED_SECONDS:
                usable = provider(services, name).status != "bad"
                self._found[name] = (monotonic(), usable)
        return usable


_usable = _Usable()


class Fallbacks:
    """What images of one batch may go on with. Workers, holds and providers are looked at once, when it matters."""

    def __init__(self, services: Services, batch_id: str) -> None:
        self._services = services
        self._batch_id = batch_id
        self._takes: dict[str, bool] = {}

    @cached_property
    def _by(self) -> PlannedBy:
        return planned_by(self._services.ledger, self._batch_id)

    @cached_property
    def models(self) -> Mapping[str, ModelSpec]:
        """The batch's own, as they were frozen into it."""
        return {alias: ModelSpec.model_validate(spec) for alias, spec in self._by.catalogue["models"].items()}

    @cached_property
    def _not_now(self) -> set[str]:
        """Models that the batch holds for a reason of their own."""
        return {hold.model for hold in holding.holds(self._services.ledger, self._batch_id)}

    @cached_property
    def _served(self) -> set[str]:
        return leases.live_queues(self._services.ledger, self._services.settings.preferences.lease)

    def choose(self, stuck: Stuck) -> Drawn | None:
        """The image with the next model that can draw it; ``None`` where there is none, or it may be paid for."""
        if stuck.unknowns:
            return None
        order = self._order(stuck)
        takers = (self.models[alias] for alias in after(self.models, stuck.asked_model, stuck.model))
        return next((drawn for spec in takers if self._can_take(spec) and (drawn := drawn_by(order, spec))), None)

    def _order(self, stuck: Stuck) -> Order:
        shared = self._by.catalogue["templates"][stuck.template]["share"]
        return Order(
            key=None if shared else stuck.key,
            variant=stuck.variant,
            prompt=stuck.prompt,
            size=stuck.size,
            native_size=stuck.native_size,
            references=stuck.references,
            # A batch that buys everything anew does so here too; not from the batch before.
            fresh=self._batch_id if self._by.options.get("fresh") else "",
        )

    def _can_take(self, spec: ModelSpec) -> bool:
        if spec.alias not in self._takes:
            self._takes[spec.alias] = (
                not has_retired(spec, self._services.settings.today)
                and spec.alias not in self._not_now
                and routing.model_queue(spec.alias) in self._served
                and _usable(self._services, spec.provider)
            )
        return self._takes[spec.alias]


def onward(services: Services, claimed: Claim, error: StepError, decision: Decision) -> Onward:
    """Whether the image whose call has failed, and its model's others, go on with another model."""
    if isinstance(error, NoRoom | StagingFailed) or not given_up(error.error_class, decision):
        return STAYS
    fallbacks = Fallbacks(services, claimed.batch_id)
    if not leads_on(fallbacks.models, claimed.spec["alias"]):
        return STAYS
    paid = _perhaps_paid(claimed, error)
    drawn = None if paid else fallbacks.choose(falling_back.stuck(services.ledger, claimed.image_id))
    return Onward(drawn, others=decision.holds_others)


def _perhaps_paid(claimed: Claim, error: StepError) -> bool:
    """Whether there may be a picture: an outcome is unknown, or the account's trouble keeps a paid one back."""
    kept_back = error.error_class is ErrorClass.ACCOUNT and error.cost_usd_micros
    return bool(claimed.unknowns or error.error_class is ErrorClass.AMBIGUOUS or kept_back)


def follow(services: Services, claimed: Claim, error: StepError, drawn: Drawn) -> NoReturn:
    """End the message of an image that goes on with another model: its next one is sent on that model's queue."""
    with left_to_the_sweep(f"the next wave of {drawn.model}"):
        graph.release_if_low(services, drawn.model)
    raise Superseded(f"{claimed.batch_id} {claimed.key}: goes on with {drawn.model}: {error}") from None


def move_on(services: Services, batch_id: str | None = None) -> None:
    """Let images go on that a hold keeps from their model and that have a fallback, of one batch or of all."""
    for held in falling_back.waiting(services.ledger, batch_id):
        with left_to_the_sweep(f"the fallback of {held.batch_id} from {held.model}"):
            moved = falling_back.move_on(services.ledger, held, Fallbacks(services, held.batch_id).choose)
            logger.warning("%s: %s is held; images that went on: %s", held.batch_id, held.model, dict(moved) or "none")
            for model in moved:
                graph.release(services, model)
