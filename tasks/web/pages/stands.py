"""How a batch stands, in one word, and what a person can do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from tasks.core.going_on import Way, way_on
from tasks.core.holds import Reason
from tasks.core.states import ACTIVE, UNPUBLISHED_ENDS, WAITING, State
from tasks.core.summary import BatchSummary


class Stand(StrEnum):
    """What a person would call it."""

    PLANNING = "planning"
    REFUSED = "refused"
    RUNNING = "running"
    PAUSED = "paused"
    WAITING = "waiting"
    FINISHED = "finished"
    FAILURES = "failures"
    CANCELLED = "cancelled"


TONES: Mapping[Stand, str] = {
    Stand.PLANNING: "busy",
    Stand.REFUSED: "bad",
    Stand.RUNNING: "busy",
    Stand.PAUSED: "wait",
    Stand.WAITING: "wait",
    Stand.FINISHED: "good",
    Stand.FAILURES: "bad",
    Stand.CANCELLED: "off",
}
"""The colour of each, as those of states."""

MOVING = frozenset({Stand.PLANNING, Stand.RUNNING})
"""Looked at again soon, these show something else."""


def stand(phase: str, counts: Mapping[State, int], held: Reason | None) -> Stand:
    """From the ledger's phase, the images by state, and why the whole batch is on hold."""
    if phase in {Stand.PLANNING, Stand.REFUSED, Stand.CANCELLED}:
        return Stand(phase)
    if held is Reason.PAUSED:
        return Stand.PAUSED
    if _any(counts, ACTIVE):
        return Stand.RUNNING
    if _any(counts, WAITING):
        return Stand.WAITING
    return Stand.FAILURES if _any(counts, UNPUBLISHED_ENDS) else Stand.FINISHED


def _any(counts: Mapping[State, int], states: Iterable[State]) -> bool:
    return any(counts.get(state) for state in states)


def controls(standing: Stand, summary: BatchSummary) -> list[str]:
    """What can be done to the batch as a whole: ``pause``, ``resume``, ``cancel``."""
    match standing:
        case Stand.PLANNING | Stand.RUNNING:
            return ["pause", "cancel"]
        case Stand.PAUSED:
            return ["resume", "cancel"]
        case Stand.WAITING:
            return ["resume", "cancel"] if _resumable(summary) else ["cancel"]
        case _:
            return []


def _resumable(summary: BatchSummary) -> bool:
    return any(way_on(group.state, group.error_class, group.step) is Way.RESUME for group in summary.failures)
