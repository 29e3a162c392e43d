"""The whole ledger in figures, for those who watch it from outside: a few questions, one snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from tasks.core.states import State
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import OPEN, SETTLED, UNTOLD, attempt, batch, event, hold, image, job, worker

# Each is answered by an index alone, or by a table of few rows.
_IMAGES = select(image.c.model, image.c.state, func.count()).group_by(image.c.state, image.c.model)
_CALLS = (
    select(attempt.c.model, func.count(), func.sum(attempt.c.cost_usd_micros)).where(SETTLED).group_by(attempt.c.model)
)
_PHASES = select(batch.c.phase, func.count()).group_by(batch.c.phase)
_HOLDS = select(hold.c.reason, func.count()).group_by(hold.c.reason)
_UNTOLD = select(func.count()).select_from(event).where(UNTOLD)
_JOBS = select(func.count()).select_from(job).where(OPEN)


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of a model that have ended, whatever has come of them. Neither number ever becomes less."""

    ended: int
    spent_usd_micros: int


@dataclass(frozen=True, slots=True)
class Figures:
    """``served`` is how many living workers consume a queue, by queue; ``holds`` are counted by their reason.

    ``untold_events`` wait for the webhooks of batches, ``open_jobs`` for a provider.
    """

    images: Mapping[str, Mapping[State, int]]
    calls: Mapping[str, Calls]
    batches: Mapping[str, int]
    holds: Mapping[str, int]
    untold_events: int
    open_jobs: int
    workers: int
    served: Mapping[str, int]


def measure(ledger: Ledger, expires: timedelta) -> Figures:
    """Count everything; ``expires`` is how long a worker without a heartbeat counts as alive."""
    with ledger.read() as connection:
        images: dict[str, dict[State, int]] = {}
        for model, state, number in connection.execute(_IMAGES):
            images.setdefault(model, {})[State(state)] = number
        calls = {model: Calls(ended, int(spent)) for model, ended, spent in connection.execute(_CALLS)}
        since = ledger.clock(connection) - expires
        alive = (worker.c.stopped_at.is_(None), worker.c.heartbeat_at > since)
        queues = connection.scalars(select(worker.c.queues).where(*alive)).all()
        return Figures(
            images=images,
            calls=calls,
            batches=dict(connection.execute(_PHASES).all()),
            holds=dict(connection.execute(_HOLDS).all()),
            untold_events=connection.scalar(_UNTOLD) or 0,
            open_jobs=connection.scalar(_JOBS) or 0,
            workers=len(queues),
            served=Counter(queue for each in queues for queue in each),
        )
