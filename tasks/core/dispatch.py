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
    """One image to be sent: the remaining steps of it, and the model whose queue takes it.

    ``label`` is what people read in place of the ticket (:func:`label_of`).
    """

    ticket: Ticket
    batch_id: str
    model: str
    steps: tuple[StepName, ...]
    label: str


_NAME_CHARS, _KEY_CHARS = 40, 60


def label_of(ticket: Ticket, batch_name: str, key: str, variant: int) -> str:
    """What Flower and a worker's log show of an image's task: ``Spring · SKU-7 #2 · image 17, sending 1``.

    About 140 characters at most, whatever the shop's own words are. The step is in the task's name.
    """
    which = f" #{variant}" if variant > 1 else ""
    named = f"{_shown(batch_name, _NAME_CHARS)} · {_shown(key, _KEY_CHARS)}{which}"
    return f"{named} · image {ticket.image_id}, sending {ticket.dispatch_no}"


def _shown(text: str, most_chars: int) -> str:
    """On one line, and no longer than that."""
    line = "".join(char if char.isprintable() else " " for char in text)
    return line if len(line) <= most_chars else f"{line[: most_chars - 1]}…"
