"""The base class of every task: Celery's own autoretry, told by the ledger when and whether."""

from __future__ import annotations

import random
from typing import Any

from celery import Task

from tasks.core.errors import ImagechordError, ImageEnded, LedgerUnavailable, Superseded
from tasks.core.retry import MAX_COUNTDOWN_SECONDS, backoff_seconds


class RetryLater(ImagechordError):
    """The step failed and shall be tried again by this very message, in ``wait_seconds`` at the earliest."""

    def __init__(self, message: str, wait_seconds: float) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds

    def __reduce__(self) -> tuple[type[RetryLater], tuple[str, float]]:
        return (type(self), (str(self), self.wait_seconds))


class Step(Task):  # type: ignore[type-arg]
    """Retries on :class:`RetryLater`: the ledger counts attempts, and Celery's own count has no limit.

    Retries also while the ledger is away, for as long as that takes.
    An image that ends raises :class:`ImageEnded`: red in Flower, its chain stops, its chord part counts.
    """

    abstract = True
    Request = "tasks.steps.request:StepRequest"
    autoretry_for = (RetryLater, LedgerUnavailable)
    retry_backoff = 1
    retry_backoff_max = int(MAX_COUNTDOWN_SECONDS)
    retry_jitter = True
    max_retries = None
    # A lost worker's message is tried again after its chord claim (6 s) has expired.
    default_retry_delay = 10
    throws = (ImageEnded, Superseded)

    def retry(self, *args: Any, **options: Any) -> Any:
        """Celery's retry, with a floor: full jitter may draw 0 s, where 2ⁿ s and up to one more are due."""
        error = options.get("exc")
        if isinstance(error, RetryLater | LedgerUnavailable):
            due = error.wait_seconds if isinstance(error, RetryLater) else backoff_seconds(self.request.retries)
            jitter = random.random()  # noqa: S311 not for secrets
            options["countdown"] = min(max(due, 1.0), MAX_COUNTDOWN_SECONDS) + jitter
        return super().retry(*args, **options)

    def signature_from_request(self, request: Any = None, *args: Any, **options: Any) -> Any:
        """Celery's, of the next try, with the label of this one."""
        request = self.request if request is None else request
        return super().signature_from_request(request, *args, argsrepr=request.get("argsrepr"), **options)
