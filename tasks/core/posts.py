"""Where a message has been posted, so that it can be updated and answered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Posted:
    """``channel`` is its id, whatever name it was posted by; ``ts`` is the message's name in it."""

    channel: str
    ts: str
