"""The states of an image and what they mean for a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum


class State(StrEnum):
    """Where one image is. Stored in the ledger: the values are stable."""

    PLANNED = "planned"
    QUEUED = "queued"
    GENERATING = "generating"
    GENERATED = "generated"
    UPLOADED = "uploaded"
    PUBLISHED = "published"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    HELD = "held"
    UNKNOWN = "unknown"


ENDED = frozenset({State.PUBLISHED, State.FAILED, State.REFUSED, State.CANCELLED})
"""Nothing more happens to these images in this round."""

WAITING = frozenset({State.HELD, State.UNKNOWN})
"""These wait for a person; they do not keep a batch from resting."""

ACTIVE = frozenset(State) - ENDED - WAITING
"""These keep a batch awake: a message, a worker or the sweep will move them."""

BOUGHT = frozenset({State.GENERATED, State.UPLOADED, State.PUBLISHED})
"""The picture of these is there: nothing is left to buy for them."""

UNPUBLISHED_ENDS = ENDED - {State.PUBLISHED}
"""The ends that make a batch finish with failures."""


def add_up(parts: Iterable[Mapping[State, int]]) -> dict[State, int]:
    """Counts of several parts of a batch together; states without images are left out."""
    return dict(sum((Counter(part) for part in parts), Counter()))
