"""Celery's own request, which also says when it has left the pool, and is fit to be shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from celery.worker.request import Request

from tasks.core import routing
from tasks.core.request import described

_Request: Any = Request


def _nobody(_task_name: str) -> None:
    """Before there is a consumer."""


class StepRequest(_Request):  # type: ignore[misc]
    """Every task acknowledges late: its message is acknowledged, or rejected, when a pool slot has become free.

    Called in the pool's thread, or in the parent of a pool of processes.
    """

    slot_freed: ClassVar[Callable[..., None]] = staticmethod(_nobody)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.name == routing.START_BATCH and isinstance(self.kwargs, dict):
            self._kwargsrepr = described(self.kwargs)

    def info(self, safe: bool = True) -> dict[str, Any]:  # noqa: ARG002 Celery's parameter
        """What is shown of it in ``celery inspect active`` and Flower: labels, and nothing of the rows."""
        return dict(super().info(safe=True))

    def acknowledge(self) -> None:
        """Acknowledge, then tell the consumer."""
        super().acknowledge()
        self.slot_freed(self.name)

    def reject(self, requeue: bool = False) -> None:
        """Reject, then tell the consumer."""
        super().reject(requeue=requeue)
        self.slot_freed(self.name)
