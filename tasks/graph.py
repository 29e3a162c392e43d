"""The flow, drawn once.

Each image is a chain ``generate → upload_s3 → patch_cms`` (or what is left of it), each wave of images is a
chord, and the chord's callback is the Slack summary – as body when every image was published, as errback when
some were not: the callback runs either way, after the last part has ended, and asks the ledger what is true.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from celery import chain, chord
from celery.canvas import Signature

from tasks import publishing
from tasks.celery import app
from tasks.core import routing
from tasks.core.dispatch import Dispatch, StepName
from tasks.core.limits import LimitState
from tasks.core.waves import Bounds, window
from tasks.ledger import releasing
from tasks.services import Services


def step(name: StepName, dispatch: Dispatch) -> Signature:
    """One step of one image. The message carries ids, and a label for whoever looks at the task."""
    ids = (dispatch.ticket.image_id, dispatch.ticket.dispatch_no)
    task = routing.task_of(name, dispatch.model)
    return app.signature(task, args=ids, immutable=True, argsrepr=dispatch.label)


def image_chain(dispatch: Dispatch) -> Signature:
    """The remaining steps of one image: generate → upload_s3 → patch_cms."""
    return chain(*(step(name, dispatch) for name in dispatch.steps), app=app)


def wave(batch_id: str, dispatches: Iterable[Dispatch]) -> chord:
    """The chord of images whose callback, as body and as errback, is the batch's Slack summary."""
    body, errback = _summary(batch_id), _summary(batch_id)
    return chord([image_chain(dispatch) for dispatch in dispatches], body.on_error(errback), app=app)


def publish(dispatches: Sequence[Dispatch]) -> None:
    """Send images in this order, a chord for each batch."""
    batches: dict[str, list[Dispatch]] = {}
    for dispatch in dispatches:
        batches.setdefault(dispatch.batch_id, []).append(dispatch)
    waves = {batch_id: publishing.messages(wave(batch_id, mine)) for batch_id, mine in batches.items()}
    publishing.send(next(waves[dispatch.batch_id]) for dispatch in dispatches)


def release(services: Services, model: str) -> int:
    """Fill a model's queue up to its window, all batches together; returns how many images were sent."""
    dispatches = releasing.release(services.ledger, model, _bounds(services, model))
    publish(dispatches)
    return len(dispatches)


def release_if_low(services: Services, model: str) -> int:
    """Release when at most half of the window is queued: one cheap look, a wave only when it is worth one.

    Returns the window.
    """
    bounds = _bounds(services, model)
    if releasing.is_low(services.ledger, model, bounds):
        release(services, model)
    return bounds.window


def _bounds(services: Services, model: str) -> Bounds:
    preferences = services.settings.preferences
    spec = services.settings.catalogue.models.get(model)
    # A model that this worker does not know may have a queue that another worker serves: release little.
    state = services.limits.state(model) if spec else LimitState(model, per_minute=1.0)
    return Bounds(
        window(state, spec.typical_seconds if spec else 1.0, preferences),
        # What is paid for is delivered before more is bought: two large waves may be on their way to the CMS.
        undelivered=2 * preferences.wave_max_images,
    )


def summarise(batch_id: str) -> None:
    """Ask for the summary of a batch that seems to rest; harmless when it does not, or has been summarised."""
    _summary(batch_id).apply_async()


def _summary(batch_id: str) -> Signature:
    return app.signature(routing.SLACK_SUMMARY, args=(batch_id,), immutable=True)
