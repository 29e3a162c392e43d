"""The moves of the two free steps: upload and patch. Both are idempotent, so they need no claim."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, update

from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import StepError, Superseded
from tasks.core.holds import WHOLE
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
    *("fingerprint", "public_url"),
)
_OF_PICTURE = ("staging_key", "content_type", "extension", "size_bytes", "sha256")
# The hold of a model is about buying.
_STOPPED_BY = select(hold.c.reason).where(hold.c.batch_id == image.c.batch_id, hold.c.model == WHOLE)
_LOAD = (
    select(*(image.c[name] for name in _OF_IMAGE), *(picture.c[name] for name in _OF_PICTURE), batch.c.key_pattern)
    .add_columns(_STOPPED_BY.scalar_subquery().label("stopped_by"))
    .join(batch, batch.c.id == image.c.batch_id)
    .outerjoin(picture, picture.c.fingerprint == image.c.fingerprint)
    .where(image.c.id == bindparam("the_image"))
)
_MOVE = update(image).where(
    image.c.id == bindparam("the_image"),
    image.c.dispatch_no == bindparam("the_dispatch"),
    image.c.state == bindparam("the_state"),
)


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
        stopped_by=row.stopped_by,
    )


def settle_uploaded(ledger: Ledger, delivery: Delivery, output_key: str, public_url: str) -> None:
    """The picture is public. Raises Superseded when the image was sent again or has ended meanwhile."""
    _move(
        ledger,
        delivery,
        StepName.UPLOAD,
        state=State.UPLOADED,
        output_key=output_key,
        public_url=public_url,
        delivery_attempts=0,
        error_class=None,
        error_step=None,
        error_message=None,
    )


def settle_published(ledger: Ledger, delivery: Delivery, receipt: str) -> None:
    """The CMS has it. Raises Superseded when the image was sent again or has ended meanwhile."""
    _move(
        ledger,
        delivery,
        StepName.PATCH,
        state=State.PUBLISHED,
        cms_receipt=receipt,
        published_at=datetime.now(UTC),
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
    elif decision.gives_back:
        # The state stays; the sweep sends it again after the wait.
        values["not_before"] = datetime.now(UTC) + timedelta(seconds=decision.wait_seconds or 0.0)
    _move(ledger, delivery, step, **values)
    if not decision.holds_others:
        return False
    with ledger.write() as connection:
        reason = holding.reason_of(error)
        began = holding.put_on_hold(connection, delivery.batch_id, WHOLE, reason, f"{step}: {error}")
    holding.apply_holds(ledger, delivery.batch_id)
    return began


def _move(ledger: Ledger, delivery: Delivery, step: StepName, **values: Any) -> None:
    mine = {"the_image": delivery.image_id, "the_dispatch": delivery.dispatch_no, "the_state": _ENTRY[step]}
    with ledger.write(lasting=False) as connection:
        moved = connection.execute(_MOVE, {**mine, "moved_at": datetime.now(UTC), **values})
    # A twin of this very message may have been quicker: then the work is done, and the chain goes on.
    if moved.rowcount != 1 and load(ledger, Ticket(delivery.image_id, delivery.dispatch_no), step) is not None:
        raise Superseded(f"image {delivery.key!r} was moved by another worker during {step}")
