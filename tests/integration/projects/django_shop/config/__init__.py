"""The project's settings, in a package called config, as many projects have it; its Celery app comes with it."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
