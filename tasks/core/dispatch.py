"""What a message carries, and what is left to do for an image in a given state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tasks.core.states import State


class StepName(StrEnum):
    """The three steps of an image; the values are the last part of the task names."""

    GENERATE = "generate"
    UPLOAD = "upload_s3"
    PATCH = "patch_cms"


REMAINING: dict[State, tuple[StepName, ...]] = {
    State.QUEUED: (StepName.GENERATE, StepName.UPLOAD, StepName.PATCH),
    State.GENERATED: (StepName.UPLOAD, StepName.PATCH),
    State.UPLOADED: (StepName.PATCH,),
}
"""The chain to send for an image that a message is to move on."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """All that a message says: which image, and which sending of it this is."""

    image_id: int
    dispatch_no: int

    @property
    def member(self) -> str:
        """The name under which the limits count its call."""
        return f"{self.image_id}:{self.dispatch_no}"


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One image to be sent: the remaining steps of it, and the model whose queue takes it."""

    ticket: Ticket
    batch_id: str
    model: str
    steps: tuple[StepName, ...]
