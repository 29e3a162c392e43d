"""A shop on Celery 5.4 whose own tasks are in a module called tasks: of imagechord it knows but names."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("older_shop", broker=os.environ["SHOP_BROKER_URL"], backend=os.environ["SHOP_BROKER_URL"])
app.conf.update(task_default_queue="older_shop", broker_connection_retry_on_startup=True)


@app.task(name="shop.order_pictures")
def order_pictures(key: str, **what: object) -> str:
    """Order pictures by a message; the key makes it one batch, however often it is sent."""
    order = {"template": "product_hero", "model": "preview", "name": key, "idempotency_key": key, **what}
    app.send_task("imagechord.start_batch", kwargs=order, queue="imagechord.control", ignore_result=True)
    return key
