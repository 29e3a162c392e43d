"""``celery control rate_limit``: for our limits, the whole cluster's and for good."""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery.utils.time import rate
from celery.worker import control

from tasks import limiting
from tasks.celery import app
from tasks.core import routing
from tasks.core.limits import rate_limit_text
from tasks.ledger.limiting import overrides
from tasks.services import Services, current_services

logger = logging.getLogger(__name__)

_control: Any = control  # the stubs leave out the commands
_celerys_own = _control.rate_limit
_showing = threading.Lock()


@control.control_command(
    name="rate_limit",
    args=[("task_name", str), ("rate_limit", str)],
    signature="<task_name> <rate_limit (e.g., 5/s | 5/m | 5/h | 0 for none)>",
)
def rate_limit(state: Any, task_name: str, rate_limit: str, **kwargs: Any) -> dict[str, Any]:
    """Change a rate: of a model or the CMS for all workers and after restarts, of another task for this worker."""
    services = current_services()
    name = routing.limited_name(task_name)
    if name is None or name not in services.limits.limited:
        return dict(_celerys_own(state, task_name, rate_limit, **kwargs))
    try:
        per_minute = rate(rate_limit) * 60 or None
    except ValueError as error:
        return dict(_control.nok(f"Invalid rate limit string: {error!r}"))
    with _showing:
        limiting.change(services, name, {"per_minute": per_minute})
        app.tasks[task_name].rate_limit = rate_limit_text(per_minute)
    state.consumer.limits_changed()
    logger.info("the rate limit of %s is %s, for the whole cluster", name, rate_limit_text(per_minute) or "off")
    return dict(_control.ok(f"new rate limit set successfully, for every worker: {rate_limit_text(per_minute)}"))


def show_rates(services: Services) -> None:
    """Let the tasks of this worker show the rates in force, whoever changed them."""
    with _showing:
        changed = overrides(services.ledger)
        for limited in services.limits.limited.values():
            override = changed.get(limited.name, {})
            task = app.tasks.get(routing.limited_task(limited.name))
            if task is not None:
                task.rate_limit = rate_limit_text(override.get("per_minute", limited.limits.per_minute))
