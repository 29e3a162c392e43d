"""The Celery app that ``celery -A tasks`` finds.

It never becomes the current app: a host project's ``@shared_task`` keeps binding to the host's own. Everything
is named by strings, so importing this module loads no task and reads no setting.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu.utils.objects import cached_property


class Imagechord(Celery):
    """Celery's app, whose programs can be quiet."""

    @cached_property
    def Worker(self) -> Any:  # noqa: N802 Celery's name
        """The program ``celery worker``."""
        return self._named("QuietWorker")

    @cached_property
    def Beat(self) -> Any:  # noqa: N802 Celery's name
        """The program ``celery beat``."""
        return self._named("QuietBeat")

    def _named(self, name: str) -> Any:
        named: Any = self.subclass_with_self  # the stubs do not know that it takes a name
        return named(f"tasks.steps.log_setup:{name}")


app = Imagechord(
    "imagechord",
    set_as_current=False,
    # Celery's Django fixup would make this the default app of a host that has not made its own yet.
    fixups=[],
    config_source="tasks.celeryconfig",
    task_cls="tasks.steps.base:Step",
    log="tasks.steps.log_setup:Log",
    loader="tasks.steps.loader:Loader",
    include=[
        "tasks.steps.start_batch",
        "tasks.steps.generate",
        "tasks.steps.collect",
        "tasks.steps.upload_s3",
        "tasks.steps.patch_cms",
        "tasks.steps.slack_summary",
        "tasks.steps.slack_news",
        "tasks.steps.sweep",
        "tasks.steps.send_events",
    ],
)
app.steps["worker"].update(
    {
        "tasks.steps.broker:FrugalBroker",
        "tasks.steps.lease:Lease",
        "tasks.steps.log:QuietLog",
        "tasks.steps.memory:FewHeaps",
    }
)
