"""How a batch that waits goes on: the command for each reason, and what the same rows mean when they are run again."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, auto

from tasks.core.dispatch import StepName
from tasks.core.errors import ErrorClass
from tasks.core.holds import Reason
from tasks.core.states import State
from tasks.core.summary import BatchSummary, FailureGroup

_HOPELESS = frozenset({ErrorClass.REFUSED, ErrorClass.INVALID})
"""Sent again as they are, these fail again."""

_NO_TROUBLE = {Reason.PAUSED, Reason.BUDGET, Reason.PUBLISH, Reason.DAY_BUDGET}
"""What waits for these waits for a decision or for midnight; the trouble of all others may be over by now."""


_TROUBLE = "trouble"
_ORDER: list[str] = [Reason.PAUSED, _TROUBLE, Reason.BUDGET, Reason.PUBLISH, State.UNKNOWN, Reason.DAY_BUDGET]
"""What a person would settle first."""


class Rerun(Enum):
    """What running the rows of an unfinished batch again does to it."""

    GO_ON = auto()  # it is under way
    RESUME = auto()  # what it waited for may be there now
    WAIT = auto()  # somebody has to decide first


class Way(Enum):
    """What makes pictures that have failed, or wait, go on."""

    RETRY = auto()  # as they are
    EDIT = auto()  # with another template or model: as they are, they fail again
    RESUME = auto()
    RAISE_BUDGET = auto()
    PUBLISH = auto()
    BY_ITSELF = auto()  # later


def way_on(state: State, error_class: str, step: str | None) -> Way:
    """The way for pictures in one of the states that :class:`FailureGroup` has, and that have met this in a step."""
    if state is State.HELD:
        return _OF_HELD.get(error_class, Way.RESUME)
    return Way.EDIT if _hopeless(error_class, step) else Way.RETRY


def _hopeless(error_class: str, step: str | None) -> bool:
    """Whether only another picture would do. What the CMS refuses is mended there: the picture is paid for."""
    return error_class in _HOPELESS and step != StepName.PATCH


_OF_HELD: dict[str, Way] = {
    Reason.BUDGET: Way.RAISE_BUDGET,
    Reason.DAY_BUDGET: Way.BY_ITSELF,
    Reason.PUBLISH: Way.PUBLISH,
}


def retried_as(state: State, error_class: str) -> str:
    """The word by which ``retry --only`` takes such pictures."""
    return state if state in {State.UNKNOWN, State.CANCELLED} else error_class


def command(group: FailureGroup, batch_id: str) -> str | None:
    """What makes the pictures of a group go on; ``None`` for those that do by themselves, later."""
    retry = f"imagechord retry {batch_id} --only {retried_as(group.state, group.error_class)}"
    commands = {
        Way.RETRY: retry,
        Way.EDIT: f"{retry} --edit template=NAME",
        Way.RESUME: f"imagechord resume {batch_id}",
        Way.RAISE_BUDGET: f"imagechord resume {batch_id} --budget USD",
        Way.PUBLISH: f"imagechord publish {batch_id}",
    }
    return commands.get(way_on(group.state, group.error_class, group.step))


def first_to_tell(summary: BatchSummary) -> FailureGroup | None:
    """Of what waits in a batch, that which a person would settle first."""
    waiting = [group for group in summary.failures if group.state in {State.HELD, State.UNKNOWN}]
    return min(waiting, key=_urgency, default=None)


def waits_for(group: FailureGroup) -> str:
    """A reason of holds, an error class, or ``unknown``."""
    return group.state if group.state is State.UNKNOWN else group.error_class


def _urgency(group: FailureGroup) -> int:
    word = waits_for(group)
    return _ORDER.index(word if word in _ORDER else _TROUBLE)


def worth_retrying(summary: BatchSummary) -> bool:
    """Whether something has failed that may succeed when it is tried again as it is."""
    return any(
        group.state is State.FAILED and not _hopeless(group.error_class, group.step) for group in summary.failures
    )


def rerun(summary: BatchSummary, held_by: Collection[str], *, budget_grows: bool) -> Rerun:
    """What the same rows mean for their unfinished batch. ``held_by`` are the reasons of its holds."""
    reasons = {*held_by, *(group.error_class for group in summary.failures if group.state is State.HELD)}
    if Reason.PAUSED in reasons:
        return Rerun.WAIT
    if reasons - _NO_TROUBLE or (Reason.BUDGET in reasons and budget_grows):
        return Rerun.RESUME
    return Rerun.GO_ON if summary.active else Rerun.WAIT
