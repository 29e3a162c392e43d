"""``imagechord.patch_cms``: write the picture's URL where the shop reads it."""

from __future__ import annotations

from tasks.celery import app
from tasks.core import routing
from tasks.core.dispatch import StepName, Ticket
from tasks.ledger.delivering import settle_published
from tasks.ledger.rows import Delivery
from tasks.services import Services, current_services
from tasks.steps.delivery import deliver
from tasks.steps.ending import announce_if_resting, refill


def patch(services: Services, delivery: Delivery) -> None:
    """Write the public URL into the CMS and mark the image published. Raises StepError."""
    receipt = services.cms.write(delivery.key, delivery.public_url or "")
    settle_published(services.ledger, delivery, receipt)
    # Releases may have waited for deliveries, and a picture that was there already has not passed generate.
    refill(services, delivery.model)
    announce_if_resting(services, delivery.batch_id)


@app.task(name=routing.PATCH_CMS)
def patch_cms(image_id: int, dispatch_no: int) -> None:
    """Patch one record."""
    deliver(current_services(), Ticket(image_id, dispatch_no), StepName.PATCH, patch)
