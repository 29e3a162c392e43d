"""The shop's own tasks, in a module called tasks, as Celery's guide for Django has it."""

from __future__ import annotations

from celery import current_app, shared_task
from config.celery import app


@app.task(name="shop.receipt")
def receipt(order: str) -> str:
    """A task of the shop's own."""
    return f"receipt for {order}"


@shared_task(name="shop.parcel")
def parcel(order: str) -> str:
    """A task that binds to whichever app is current, and says which one that was."""
    return f"parcel for {order} by {current_app.main}"
