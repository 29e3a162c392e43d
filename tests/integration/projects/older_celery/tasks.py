"""A shop on Celery 5.4 whose own tasks are in a module called tasks: it knows imagechord by names and by HTTP alone."""

from __future__ import annotations

import json
import os
from urllib.request import Request, urlopen

from celery import Celery

app = Celery("older_shop", broker=os.environ["SHOP_BROKER_URL"], backend=os.environ["SHOP_BROKER_URL"])
app.conf.update(task_default_queue="older_shop", broker_connection_retry_on_startup=True)


@app.task(name="shop.order_pictures")
def order_pictures(key: str, **what: object) -> str:
    """Order pictures by a message; the key makes it one batch, however often it is sent."""
    order = {"template": "product_hero", "model": "preview", "name": key, "idempotency_key": key, **what}
    app.send_task("imagechord.start_batch", kwargs=order, queue="imagechord.control", ignore_result=True)
    return key


@app.task(name="shop.look")
def look(path: str) -> dict[str, object]:
    """Ask ``imagechord web``."""
    headers = {"Authorization": f"Bearer {os.environ['IMAGECHORD_WEB_TOKEN']}"}
    with urlopen(Request(os.environ["IMAGECHORD_URL"] + path, headers=headers), timeout=20) as answer:
        told: dict[str, object] = json.load(answer)
    return told
