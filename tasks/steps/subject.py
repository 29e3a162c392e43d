"""What a line of the log is about: the task that runs just now, its batch and its image, whoever writes the line."""

from __future__ import annotations

import logging
from typing import Any

from celery import current_task

from tasks.core import routing
from tasks.core.limits import CMS

_SUBJECT = "imagechord_subject"


def bind(**facts: str | int) -> None:
    """Say more of what the running task is about, until it ends: ``batch`` and ``sku``. Nothing where none runs.

    Kept in the task's request, as long as Celery itself has something to log about it.
    """
    if request := current_task and current_task.request:
        setattr(request, _SUBJECT, {**getattr(request, _SUBJECT, {}), **facts})


def subject(record: logging.LogRecord) -> dict[str, Any]:
    """``task`` and ``task_id``; then ``image``, ``model``, ``batch`` and ``sku``, as far as they are known.

    Celery's own lines about a task that does not run in this thread have its ``label`` instead.
    """
    if request := current_task and current_task.request:
        named = {"task": current_task.name, "task_id": request.id}
        return named | _of_message(current_task.name, request.args) | getattr(request, _SUBJECT, {})
    told = getattr(record, "data", None)
    if isinstance(told, dict) and "id" in told:
        return {"task": told.get("name"), "task_id": told["id"], "label": told.get("args")}
    return {}


def _of_message(task: str, args: Any) -> dict[str, Any]:
    """What the message itself says: see :class:`tasks.core.dispatch.Ticket`."""
    model = routing.limited_name(task)
    of_model = {"model": model} if model not in {None, CMS} else {}
    first = args[0] if args else None
    return of_model | ({"image": first} if isinstance(first, int) else {"batch": first} if first else {})
