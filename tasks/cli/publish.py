"""``imagechord publish``: let pictures that somebody has looked at go into the CMS."""

from __future__ import annotations

from tasks import control
from tasks.cli import options
from tasks.cli.wording import counted
from tasks.cli.working import batch_to_change, go_on, say_nothing_to_do
from tasks.services import current_services


def publish(batch: options.Batch = None, sku: options.Skus = None, json: options.Json = False) -> None:
    """Publish what --hold-publish has kept back.

    Without --sku all that waits in the batch is published. imagechord report shows the pictures; those that are not
    good enough can be left waiting.

    With REDIS_URL set your workers do it; without, it brings a worker and sees the batch through, as run does.

    Examples:
        imagechord publish
            Everything that waits in the latest batch.
        imagechord publish --sku MUG-001 --sku BAG-002
            Two pictures; the others go on waiting.

    Exit codes:
        0  Every picture is published, or your workers go on with them.
        1, 2, 3, 130

    Environment:
        IMAGECHORD_REDIS_URL, REDIS_URL, IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
        CMS_URL
    """
    services = current_services()
    batch_id = batch_to_change(services, batch)
    images = control.publish(services.ledger, batch_id, sku)
    if not images:
        say_nothing_to_do(services, batch_id, "nothing waits to be published", json=json)
        return
    told = f"{batch_id}: {counted(images, 'picture')} on the way to the CMS"
    go_on(services, batch_id, told, {"images": images}, json=json)
