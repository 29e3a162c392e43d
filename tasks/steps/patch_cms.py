"""``imagechord.patch_cms``: write the picture's URL where the shop reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.celery import app
from tasks.core import routing
from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import StepError
from tasks.core.limits import CMS
from tasks.core.retry import backoff_seconds
from tasks.delivery.base import ReadableCms
from tasks.ledger.delivering import UploadedVariant, settle_published, uploaded_variants
from tasks.ledger.rolling_back import keep_old_value
from tasks.ledger.rows import Delivery
from tasks.services import Services, current_services
from tasks.steps.delivery import deliver
from tasks.steps.ending import announce_if_resting, refill
from tasks.steps.orphans import ImageStep
from tasks.steps.turn import Outcome, slow_down, turn


def patch(services: Services, delivery: Delivery) -> None:
    """Write the public URLs into the CMS and mark the image published. Raises StepError."""
    try:
        if isinstance(services.cms, ReadableCms):
            keep_old_value(services.ledger, delivery, services.cms.read(delivery.key))
        receipt = _write(services, delivery)
    except StepError as error:
        slow_down(services, CMS, error, backoff_seconds(delivery.attempt))
        raise
    settle_published(services.ledger, delivery, receipt)
    # Releases may have waited for deliveries, and a picture that was there already has not passed generate.
    refill(services, delivery.model)
    announce_if_resting(services, delivery.batch_id)


def _write(services: Services, delivery: Delivery) -> str:
    """Write what the row has by now; returns the receipt. Raises StepError.

    Each variant writes all that are public when it comes, the missing and the failed ones left out, and looks again
    afterwards: whichever of two writes comes last, whoever made it knows of the other's picture.
    """
    if not delivery.has_variants:
        return services.cms.write(delivery.key, [delivery.public_url or ""], delivery.image_id)
    receipt, written = "the CMS has the row's first picture", list[str]()
    while True:
        shown = _shown(services, delivery)
        urls = [each.public_url for each in shown]
        # What others have written stands only as long as nothing has been written here.
        if urls in ([], written) or (not written and all(each.published for each in shown)):
            return receipt
        receipt, written = services.cms.write(delivery.key, urls, delivery.image_id), urls


def _shown(services: Services, delivery: Delivery) -> list[UploadedVariant]:
    """Of a row's public pictures, those that the CMS has room for."""
    uploaded = uploaded_variants(services.ledger, delivery)
    return uploaded if services.cms.takes_list else uploaded[:1]


def _limited_patch(services: Services, ticket: Ticket, delivery_info: Mapping[str, Any]) -> None:
    with turn(services, CMS, ticket, delivery_info) as mine:

        def act(services: Services, delivery: Delivery) -> None:
            mine.outcome = Outcome.CALLED
            patch(services, delivery)

        deliver(services, ticket, StepName.PATCH, act)


@app.task(bind=True, base=ImageStep, name=routing.PATCH_CMS)
def patch_cms(self: Any, image_id: int, dispatch_no: int) -> None:
    """Patch one record."""
    services, ticket = current_services(), Ticket(image_id, dispatch_no)
    if CMS in services.limits.limited:
        _limited_patch(services, ticket, self.request.delivery_info)
    else:
        deliver(services, ticket, StepName.PATCH, patch)
