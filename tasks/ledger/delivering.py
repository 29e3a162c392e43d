"""The moves of the two free steps: upload and patch. Both are idempotent, so they need no claim."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, update

from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import StepError, Superseded
from tasks.core.holds import WHOLE, Reason
from tasks.core.retry import Decision
from tasks.core.states import State
from tasks.ledger import holding
from tasks.ledger.engine import Ledger
from tasks.ledger.rows import Delivery
from tasks.ledger.schema import batch, hold, image, picture

_ENTRY = {StepName.UPLOAD: State.GENERATED, StepName.PATCH: State.UPLOADED}
_BEYOND = {
    StepName.UPLOAD: frozenset({State.UPLOADED, State.PUBLISHED}),
    StepName.PATCH: frozenset({State.PUBLISHED}),
}

# Built once: making a statement costs more than running it. An update takes its SET columns from the values given.
_OF_IMAGE = (
    *("id", "batch_id", "dispatch_no", "state", "delivery_attempts", "key", "variant", "template", "model"),
    *("fingerprint", "public_url", "delivery_starts"),
)
_OF_PICTURE = ("staging_key", "content_type", "extension", "size_bytes", "sha256")
_OF_BATCH = (batch.c.key_pattern, batch.c.hold_publish)
# The hold of a model is about buying.
_STOPPED_BY = select(hold.c.reason).where(hold.c.batch_id == image.c.batch_id, hold.c.model == WHOLE)
_sibling = image.alias()
_HAS_VARIANTS = select(_sibling.c.id).where(
    _sibling.c.batch_id == image.c.batch_id, _sibling.c.key == image.c.key, _sibling.c.variant != image.c.variant
)
_LOAD = (
    select(*(image.c[name] for name in _OF_IMAGE), *(picture.c[name] for name in _OF_PICTURE), *_OF_BATCH)
    .add_columns(_STOPPED_BY.scalar_subquery().label("stopped_by"), _HAS_VARIANTS.exists().label("has_variants"))
    .join(batch, batch.c.id == image.c.batch_id)
    .outerjoin(picture, picture.c.fingerprint == image.c.fingerprint)
    .where(image.c.id == bindparam("the_image"))
)
_MOVE = update(image).where(
    image.c.id == bindparam("the_image"),
    image.c.dispatch_no == bindparam("the_dispatch"),
    image.c.state == bindparam("the_state"),
)
_TO_PATCH = {"state": State.UPLOADED, "error_class": None, "error_step": None, "error_message": None}
_TO_LOOK_AT = {
    "state": State.HELD,
    "error_class": Reason.PUBLISH,
    "error_step": StepName.PATCH,
    "error_message": "uploaded; waits to be looked at before it is published",
}
_START = _MOVE.values(delivery_starts=image.c.delivery_starts + 1)


def load(ledger: Ledger, ticket: Ticket, step: StepName) -> Delivery | None:
    """Read what the step needs; ``None`` when the image is beyond it (then the chain simply goes on).

    Raises Superseded when the message is out of date or the image is not where the step begins.
    """
    with ledger.read() as connection:
        row = connection.execute(_LOAD, {"the_image": ticket.image_id}).first()
    if row is None:
        raise Superseded(f"image {ticket.image_id} is not in this ledger")
    if row.dispatch_no != ticket.dispatch_no:
        raise Superseded(f"image {row.key!r} was sent again: {ticket.dispatch_no} is older than {row.dispatch_no}")
    if row.state in _BEYOND[step]:
        return None
    if row.state != _ENTRY[step]:
        raise Superseded(f"image {row.key!r} is {row.state}, {step} begins at {_ENTRY[step]}")
    return Delivery(
        image_id=row.id,
        batch_id=row.batch_id,
        dispatch_no=row.dispatch_no,
        attempt=row.delivery_attempts + 1,
        key=row.key,
        variant=row.variant,
        template=row.template,
        model=row.model,
        key_pattern=row.key_pattern,
        fingerprint=row.fingerprint,
        staging_key=row.staging_key,
        content_type=row.content_type,
        extension=row.extension,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        public_url=row.public_url,
        has_variants=row.has_variants,
        hold_publish=row.hold_publish,
        starts=row.delivery_starts,
        stopped_by=row.stopped_by,
    )


@dataclass(frozen=True, slots=True)
class UploadedVariant:
    """One of a row's pictures that is public. ``published``: its own write into the CMS is done."""

    variant: int
    public_url: str
    published: bool


def uploaded_variants(ledger: Ledger, delivery: Delivery) -> list[UploadedVariant]:
    """The pictures of a row that are public and that nobody is still to look at, in order."""
    mine = (image.c.batch_id == delivery.batch_id, image.c.key == delivery.key, image.c.public_url.is_not(None))
    public = image.c.state.in_((State.UPLOADED, State.PUBLISHED))
    query = select(image.c.variant, image.c.public_url, image.c.state).where(*mine, public)
    with ledger.read() as connection:
        rows = connection.execute(query.order_by(image.c.variant)).all()
    return [UploadedVariant(row.variant, row.public_url, row.state == State.PUBLISHED) for row in rows]


def needs_staging(ledger: Ledger) -> bool:
    """Whether a picture that was bought is still to be uploaded, for any batch, or one to start from is waited for."""
    waits = (State.PLANNED, State.QUEUED, State.GENERATED, State.HELD)
    bought = select(image.c.id).join(picture, picture.c.fingerprint == image.c.fingerprint).where(picture.c.bought)
    starts = select(image.c.id).where(image.c.reference.is_not(None))
    with ledger.read() as connection:
        return any(
            connection.execute(some.where(image.c.state.in_(waits)).limit(1)).first() for some in (bought, starts)
        )


def count_start(ledger: Ledger, delivery: Delivery, step: StepName) -> None:
    """Write down that the step begins; its settlement, whichever, takes the count back. It is not a move.

    Raises Superseded when the image was sent again or has moved meanwhile.
    """
    started = {"the_image": delivery.image_id, "the_dispatch": delivery.dispatch_no, "the_state": _ENTRY[step]}
    with ledger.write(lasting=False) as connection:
        counted = connection.execute(_START, started)
    if counted.rowcount != 1:
        raise Superseded(f"image {delivery.key!r} was moved by another worker before {step}")


def settle_uploaded(ledger: Ledger, delivery: Delivery, output_key: str, public_url: str) -> None:
    """The picture is public; in a batch with ``hold_publish`` it waits for somebody to look at it.

    Raises Superseded when the image was sent again or has ended meanwhile.
    """
    values = {"output_key": output_key, "public_url": public_url, "delivery_attempts": 0}
    _move(ledger, delivery, StepName.UPLOAD, **values, **(_TO_LOOK_AT if delivery.hold_publish else _TO_PATCH))


def settle_published(ledger: Ledger, delivery: Delivery, receipt: str) -> None:
    """The CMS has it. Raises Superseded when the image was sent again or has ended meanwhile."""
    _move(
        ledger,
        delivery,
        StepName.PATCH,
        state=State.PUBLISHED,
        cms_receipt=receipt,
        published_at=datetime.now(UTC),
        rolled_back_at=None,
        error_class=None,
        error_step=None,
        error_message=None,
    )


def settle_delivery_failure(
    ledger: Ledger, delivery: Delivery, step: StepName, error: StepError, decision: Decision
) -> bool:
    """Record a failed upload or patch and do as decided; whether that holds the whole batch from now on."""
    values: dict[str, Any] = {
        "delivery_attempts": delivery.attempt,
        "error_class": error.error_class,
        "error_step": step,
        "error_message": str(error),
    }
    if decision.end is not None:
        values["state"] = decision.end
    elif decision.parks:
        values |= _parked()
    elif decision.gives_back:
        # The state stays; the sweep sends it again after the wait.
        values["not_before"] = datetime.now(UTC) + timedelta(seconds=decision.wait_seconds or 0.0)
    _move(ledger, delivery, step, **values)
    if not decision.holds_others:
        return False
    return holding.hold_batch(ledger, delivery.batch_id, holding.reason_of(error), f"{step}: {error}")


def park(ledger: Ledger, delivery: Delivery, step: StepName) -> None:
    """Let an image wait, untried, until its destination is back. Raises Superseded when it has moved meanwhile."""
    _move(ledger, delivery, step, **_parked())


def _parked() -> dict[str, Any]:
    """Its wait is over at once, but the sweep leaves what is held alone; an outage's failures are not the image's."""
    return {"not_before": datetime.now(UTC), "delivery_attempts": 0}


def _move(ledger: Ledger, delivery: Delivery, step: StepName, **values: Any) -> None:
    mine = {"the_image": delivery.image_id, "the_dispatch": delivery.dispatch_no, "the_state": _ENTRY[step]}
    with ledger.write(lasting=False) as connection:
        moved = connection.execute(_MOVE, {**mine, "moved_at": datetime.now(UTC), "delivery_starts": None, **values})
    # A twin of this very message may have been quicker: then the work is done, and the chain goes on.
    if moved.rowcount != 1 and load(ledger, Ticket(delivery.image_id, delivery.dispatch_no), step) is not None:
        raise Superseded(f"image {delivery.key!r} was moved by another worker during {step}")
