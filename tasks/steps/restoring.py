"""A paid picture that is not in staging: pruned after its publication, or removed by somebody."""

from __future__ import annotations

import hashlib
import logging

from tasks.core.errors import Lost, Superseded
from tasks.core.keys import staging_key
from tasks.core.pictures import StagedPicture
from tasks.ledger.keeping import give_up, mark_restored, published_as
from tasks.ledger.rows import Delivery
from tasks.services import Services
from tasks.storage.base import Missing

logger = logging.getLogger(__name__)


def restored(services: Services, delivery: Delivery) -> StagedPicture:
    """Put the picture back into staging from where it was published before, if these are the very bytes.

    Raises Lost when no copy is left, Superseded when its image was given back to be bought anew, and StepError of the
    fitting class when a store does not answer.
    """
    for key in published_as(services.ledger, delivery.fingerprint):
        try:
            data = services.public.get(key)
        except Missing:
            continue
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 == delivery.sha256:
            staged = StagedPicture(
                staging_key(delivery.fingerprint, sha256, delivery.extension), delivery.content_type, len(data), sha256
            )
            services.staging.put(staged.key, data, staged.content_type)
            mark_restored(services.ledger, delivery, staged.key)
            return staged
    raise _given_up(services, delivery)


def _given_up(services: Services, delivery: Delivery) -> Lost | Superseded:
    """What the image comes to, in words."""
    gone = f"the paid picture {delivery.fingerprint[:8]} is neither in staging nor where it was published"
    if give_up(services.ledger, delivery, f"{gone}; it is bought again"):
        logger.warning("%s %s: %s; it is bought again", delivery.batch_id, delivery.key, gone)
        return Superseded(f"image {delivery.key!r}: {gone}; it is bought again")
    return Lost(f"{gone}; put it back (is STAGING_URL the right place, and mounted?), or resume to buy it again")
