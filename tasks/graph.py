"""The flow, drawn once.

Each image is a chain ``generate → upload_s3 → patch_cms`` (or what is left of it), each wave of images is a
chord, and the chord's callback is the Slack summary – as body when every image was published, as errback when
some were not: the callback runs either way, after the last part has ended, and asks the ledger what is true.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter

from celery import chain, chord
from celery.canvas import Signature

from tasks.celery import app
from tasks.core import routing
from tasks.core.dispatch import Dispatch, StepName
from tasks.core.waves import window
from tasks.ledger import dispatching
from tasks.services import Services


def step(name: StepName, dispatch: Dispatch) -> Signature:
    """One step of one image. The message carries ids and nothing else."""
    ids = (dispatch.ticket.image_id, dispatch.ticket.dispatch_no)
    return app.signature(routing.task_of(name, dispatch.model), args=ids, immutable=True)


def image_chain(dispatch: Dispatch) -> Signature:
    """The remaining steps of one image: generate → upload_s3 → patch_cms."""
    return chain(*(step(name, dispatch) for name in dispatch.steps), app=app)


def wave(batch_id: str, dispatches: Iterable[Dispatch]) -> Signature:
    """The chord of images whose callback, as body and as errback, is the batch's Slack summary."""
    body, errback = _summary(batch_id), _summary(batch_id)
    return chord([image_chain(dispatch) for dispatch in dispatches], body.on_error(errback), app=app)


def publish(dispatches: Iterable[Dispatch]) -> None:
    """Send images, a chord for each batch."""
    for batch_id, group in groupby(sorted(dispatches, key=attrgetter("batch_id")), key=attrgetter("batch_id")):
        wave(batch_id, group).apply_async()


def release(services: Services, batch_id: str, model: str) -> int:
    """Top the batch's share of a model's queue up to its window; returns how many images were sent."""
    dispatches = dispatching.release(services.ledger, batch_id, model, _window(services, model))
    publish(dispatches)
    return len(dispatches)


def release_if_low(services: Services, batch_id: str, model: str) -> None:
    """Release when less than half of the window is queued: one cheap look, a wave only when it is worth one."""
    if dispatching.is_low(services.ledger, batch_id, model, _window(services, model) // 2):
        release(services, batch_id, model)


def _window(services: Services, model: str) -> int:
    spec = services.settings.catalogue.models.get(model)
    # A model that this worker does not know may have a queue that another worker serves: release little.
    per_minute = spec.limits.per_minute if spec else 1.0
    return window(per_minute, services.settings.preferences)


def summarise(batch_id: str) -> None:
    """Ask for the summary of a batch that seems to rest; harmless when it does not, or has been summarised."""
    _summary(batch_id).apply_async()


def _summary(batch_id: str) -> Signature:
    return app.signature(routing.SLACK_SUMMARY, args=(batch_id,), immutable=True)
