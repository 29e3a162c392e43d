"""How long the steps of an image take, for whoever watches the cluster (:class:`tasks.meter.Meter`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic

from celery.exceptions import Ignore

from tasks.core.dispatch import StepName
from tasks.core.errors import Superseded
from tasks.core.observed import Timed
from tasks.services import Services


@contextmanager
def timed(services: Services, step: StepName, model: str, since: datetime | None = None) -> Iterator[None]:
    """Time the block, or what began at ``since`` and ends with it.

    What will be finished elsewhere is not timed: by a provider that answers later, or by a twin.
    """
    before_seconds = max(0.0, (datetime.now(UTC) - since).total_seconds()) if since else 0.0
    began, outcome = monotonic(), "failed"
    try:
        yield
        outcome = "done"
    except Ignore:
        outcome = ""
        raise
    except Superseded:  # done, and it goes on no further
        outcome = "done"
        raise
    finally:
        if outcome:
            services.meter.took(Timed(step, model, outcome), before_seconds + monotonic() - began)
