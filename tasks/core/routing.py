"""Names of tasks and queues: said here once, stable, usable with ``send_task`` from another code base."""

from __future__ import annotations

from tasks.core.dispatch import StepName
from tasks.core.limits import CMS

PREFIX = "imagechord"
GENERATE = f"{PREFIX}.generate"
START_BATCH = f"{PREFIX}.start_batch"
COLLECT = f"{PREFIX}.collect"
KEEP_LATE = f"{PREFIX}.keep_late"
UPLOAD_S3 = f"{PREFIX}.upload_s3"
PATCH_CMS = f"{PREFIX}.patch_cms"
SLACK_SUMMARY = f"{PREFIX}.slack_summary"
SLACK_NEWS = f"{PREFIX}.slack_news"
SWEEP = f"{PREFIX}.sweep"
SEND_EVENTS = f"{PREFIX}.send_events"

DELIVER_QUEUE = f"{PREFIX}.deliver"
CONTROL_QUEUE = f"{PREFIX}.control"

FIRST, LAST = 0, 6
"""Message priorities on Redis, where 0 is the highest: what is paid for is delivered before more is bought."""


def generate_task(model: str) -> str:
    """The task type that buys pictures of a model."""
    return f"{GENERATE}.{model}"


def model_queue(model: str) -> str:
    """The queue of a model."""
    return f"{PREFIX}.{model}"


def task_of(step: StepName, model: str) -> str:
    """The task name of a step."""
    return generate_task(model) if step is StepName.GENERATE else f"{PREFIX}.{step}"


def limited_name(task_name: str) -> str | None:
    """Under which name a task's calls are limited; ``None`` for a task that calls nobody who limits."""
    if task_name == PATCH_CMS:
        return CMS
    return task_name.removeprefix(f"{GENERATE}.") if task_name.startswith(f"{GENERATE}.") else None


def limited_task(name: str) -> str:
    """The task whose calls are limited under this name."""
    return PATCH_CMS if name == CMS else generate_task(name)


def limited_queue(name: str) -> str:
    """The queue that brings it."""
    return DELIVER_QUEUE if name == CMS else model_queue(name)


def route(task_name: str) -> tuple[str, int] | None:
    """Queue and priority of a task; ``None`` for a task that is not ours."""
    if task_name.startswith(f"{GENERATE}."):
        return model_queue(task_name.removeprefix(f"{GENERATE}.")), LAST
    if task_name in {COLLECT, KEEP_LATE, UPLOAD_S3, PATCH_CMS}:
        return DELIVER_QUEUE, FIRST
    if task_name.startswith(f"{PREFIX}."):
        return CONTROL_QUEUE, FIRST
    return None
