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


def command(group: FailureGroup, batch_id: str) -> str | None:
    """What makes the pictures of a group go on; ``None`` for those that do by themselves, later."""
    if group.state is State.HELD:
        return _of_held(group.error_class, batch_id)
    if group.state in {State.UNKNOWN, State.CANCELLED}:
        return f"imagechord retry {batch_id} --only {group.state}"
    edit = " --edit template=NAME" if group.error_class in _HOPELESS else ""
    return f"imagechord retry {batch_id} --only {group.error_class}{edit}"


def _of_held(reason: str, batch_id: str) -> str | None:
    match reason:
        case Reason.BUDGET:
            return f"imagechord resume {batch_id} --budget USD"
        case Reason.DAY_BUDGET:
            return None
        case Reason.PUBLISH:
            return f"imagechord publish {batch_id}"
        case _:
            return f"imagechord resume {batch_id}"


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
    """Whether something has failed that may succeed when it is tried again as it is.

    What the CMS refuses may: a record that is missing there is made there, and the picture is paid for.
    """
    failed = [group for group in summary.failures if group.state is State.FAILED]
    return any(group.error_class not in _HOPELESS or group.step == StepName.PATCH for group in failed)


def rerun(summary: BatchSummary, held_by: Collection[str], *, budget_grows: bool) -> Rerun:
    """What the same rows mean for their unfinished batch. ``held_by`` are the reasons of its holds."""
    reasons = {*held_by, *(group.error_class for group in summary.failures if group.state is State.HELD)}
    if Reason.PAUSED in reasons:
        return Rerun.WAIT
    if reasons - _NO_TROUBLE or (Reason.BUDGET in reasons and budget_grows):
        return Rerun.RESUME
    return Rerun.GO_ON if summary.active else Rerun.WAIT
