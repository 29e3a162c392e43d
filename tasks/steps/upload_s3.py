"""``imagechord.upload_s3``: from staging to public storage."""

from __future__ import annotations

from contextlib import suppress

from tasks.celery import app
from tasks.core import routing
from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import Superseded
from tasks.core.keys import output_key
from tasks.core.pictures import StagedPicture
from tasks.ledger.delivering import settle_uploaded
from tasks.ledger.rows import Delivery
from tasks.services import Services, current_services
from tasks.steps.delivery import deliver
from tasks.steps.ending import announce_if_resting, refill
from tasks.steps.orphans import ImageStep
from tasks.steps.restoring import restored
from tasks.storage.base import Missing


def upload(services: Services, delivery: Delivery) -> None:
    """Publish the staged picture under its output key. Raises StepError; Superseded when it waits to be looked at."""
    key = output_key(
        delivery.key_pattern,
        prefix=services.settings.get("S3_PREFIX") or "",
        sku=delivery.key,
        fingerprint=delivery.fingerprint,
        ext=delivery.extension,
        template=delivery.template,
        model=delivery.model,
        variant=delivery.variant,
        batch=delivery.batch_id,
    )
    metadata = {"fingerprint": delivery.fingerprint, "sha256": delivery.sha256 or "", "batch": delivery.batch_id}
    url = _publish(services, delivery, key, metadata)
    settle_uploaded(services.ledger, delivery, key, url)
    if delivery.hold_publish:
        # There will be no patch, after which these are done.
        refill(services, delivery.model)
        announce_if_resting(services, delivery.batch_id)
        raise Superseded(f"{delivery.batch_id} {delivery.key}: uploaded, and waits to be published")


def _publish(services: Services, delivery: Delivery, key: str, metadata: dict[str, str]) -> str:
    staged_at, sha256 = delivery.staging_key, delivery.sha256
    if staged_at is not None and sha256 is not None:
        staged = StagedPicture(staged_at, delivery.content_type, delivery.size_bytes, sha256)
        with suppress(Missing):
            return services.public.publish(staged, services.staging, key, metadata)
    return services.public.publish(restored(services, delivery), services.staging, key, metadata)


@app.task(base=ImageStep, name=routing.UPLOAD_S3)
def upload_s3(image_id: int, dispatch_no: int) -> None:
    """Upload one picture."""
    deliver(current_services(), Ticket(image_id, dispatch_no), StepName.UPLOAD, upload)
