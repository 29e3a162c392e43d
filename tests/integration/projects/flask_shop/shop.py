"""A Flask shop with a Celery app of its own, which lets imagechord make its pictures."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, current_app, shared_task
from flask import Flask, request

from tasks.batches import status, submit
from tasks.web.flask import imagechord

celery = Celery("flask_shop", broker=os.environ["SHOP_BROKER_URL"], backend=os.environ["SHOP_BROKER_URL"])
celery.conf.update(task_default_queue="shop", broker_connection_retry_on_startup=True)
celery.set_default()  # current_app is a thread's own: this makes it every request thread's, as Flask's guide says
app = Flask(__name__)
app.register_blueprint(imagechord, url_prefix="/imagechord")


@celery.task(name="shop.receipt")
def receipt(order: str) -> str:
    """A task of the shop's own."""
    return f"receipt for {order}"


@shared_task(name="shop.parcel")
def parcel(order: str) -> str:
    """A task that binds to whichever app is current, and says which one that was."""
    return f"parcel for {order} by {current_app.main}"


@app.post("/pictures")
def pictures() -> tuple[dict[str, Any], int]:
    """The ten-line view: rows in, batch out, at once."""
    return {"batch": submit(request.get_json(), template="product_hero", model="preview")}, 202


@app.get("/pictures/<batch>")
def progress(batch: str) -> dict[str, Any]:
    """How many are published by now."""
    return {"published": status(batch).published}


@app.post("/orders/<order>")
def orders(order: str) -> dict[str, Any]:
    """The shop's own work, on its own queue."""
    sent = [task.delay(order) for task in (receipt, parcel)]
    return {"results": [result.get(timeout=20) for result in sent], "current_app": current_app.main}
