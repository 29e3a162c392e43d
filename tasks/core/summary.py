"""What a finished (or resting) round of a batch has come to: the content of Slack, terminal and report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tasks.core.events import Standing
from tasks.core.limits import LimitState
from tasks.core.outages import Outage
from tasks.core.states import ACTIVE, State


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Images that ended, or wait, for the same reason. ``error_class`` as in ErrorClass, or a state's own word."""

    state: State
    error_class: str
    step: str
    message: str
    count: int
    example_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fallback:
    """Images that were asked of one model and went over to another; so many of them are published."""

    asked: str
    model: str
    images: int
    published: int


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """Counts add up to ``total`` together with ``skipped`` rows. Times are aware; money is micro-dollars.

    ``by_model`` has the same counts by model; ``limits`` those of the models, as far as anybody asked for them.
    """

    batch_id: str
    name: str
    round: int
    total: int
    counts: Mapping[State, int]
    skipped_rows: int
    models: tuple[str, ...]
    started_at: datetime
    ended_at: datetime
    spent_usd_micros: int
    reused: int
    failures: tuple[FailureGroup, ...]
    report_url: str | None = None
    by_model: Mapping[str, Mapping[State, int]] = field(default_factory=dict)
    limits: tuple[LimitState, ...] = ()
    outages: tuple[Outage, ...] = ()
    """Destinations to which delivery is held now, as far as anybody asked."""
    phase: str = "started"
    """planning, refused, started or cancelled."""
    problems: tuple[str, ...] = ()
    """Why it was refused: a sentence, then each problem."""
    webhook: Standing | None = None
    """How it stands with the batch's webhook, where it has one and anybody asked."""
    unpriced: tuple[str, ...] = ()
    """Those of ``models`` without a price: of their calls only what the provider reports is counted as spent."""
    fallbacks: tuple[Fallback, ...] = ()
    budget_usd_micros: int | None = None

    @property
    def published(self) -> int:
        """Images whose URL is written where it belongs."""
        return self.counts.get(State.PUBLISHED, 0)

    @property
    def failed(self) -> int:
        """Images that ended without being published."""
        return sum(self.counts.get(s, 0) for s in (State.FAILED, State.REFUSED, State.CANCELLED))

    @property
    def waiting(self) -> int:
        """Images that wait for a person."""
        return sum(self.counts.get(s, 0) for s in (State.HELD, State.UNKNOWN))

    @property
    def active(self) -> int:
        """Images that are under way."""
        return sum(self.counts.get(s, 0) for s in ACTIVE)

    @property
    def duration_seconds(self) -> float:
        """From the first submit of the batch to its rest."""
        return (self.ended_at - self.started_at).total_seconds()
