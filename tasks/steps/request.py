"""Celery's own request, which also says when it has left the pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from celery.worker.request import Request

_Request: Any = Request


def _nobody(_task_name: str) -> None:
    """Before there is a consumer."""


class StepRequest(_Request):  # type: ignore[misc]
    """Every task acknowledges late: its message is acknowledged, or rejected, when a pool slot has become free.

    Called in the pool's thread, or in the parent of a pool of processes.
    """

    slot_freed: ClassVar[Callable[..., None]] = staticmethod(_nobody)

    def acknowledge(self) -> None:
        """Acknowledge, then tell the consumer."""
        super().acknowledge()
        self.slot_freed(self.name)

    def reject(self, requeue: bool = False) -> None:
        """Reject, then tell the consumer."""
        super().reject(requeue=requeue)
        self.slot_freed(self.name)
