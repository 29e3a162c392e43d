"""The Celery app that ``celery -A tasks`` finds.

It never becomes the current app: a host project's ``@shared_task`` keeps binding to the host's own. Everything
is named by strings, so importing this module loads no task and reads no setting.
"""

from __future__ import annotations

from celery import Celery

app = Celery(
    "imagechord",
    set_as_current=False,
    # Celery's Django fixup would make this the default app of a host that has not made its own yet.
    fixups=[],
    config_source="tasks.celeryconfig",
    task_cls="tasks.steps.base:Step",
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
