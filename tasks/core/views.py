"""What the report, the manifest and ``show`` read of one row of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tasks.core.pictures import Size
from tasks.core.rolling_back import Shown
from tasks.core.states import ENDED, WAITING, State


@dataclass(frozen=True, slots=True)
class ImageView:
    """One image as the ledger knows it now. Times are aware; ``None`` is what has not happened.

    ``thumbnail`` is a small JPEG, PNG or WebP file of the picture, made once, when the picture was.
    ``row`` is the source row, column → text, in the order of its columns. ``asked_model`` is the model that a fallback
    has taken the place of. ``references`` are the names of the pictures that it starts from. ``replaced`` is what the
    CMS showed before, where it can be read, and ``rolled_back_at`` when that was put back.
    """

    line: int
    key: str
    variant: int
    template: str
    model: str
    prompt: str
    state: State
    size: Size
    fingerprint: str
    row: Mapping[str, str]
    cost_usd_micros: int = 0
    reused: bool = False
    attempts: int = 0
    error_class: str | None = None
    error_step: str | None = None
    error_message: str | None = None
    public_url: str | None = None
    output_key: str | None = None
    cms_receipt: str | None = None
    created_at: datetime | None = None
    published_at: datetime | None = None
    replaced: Shown | None = None
    rolled_back_at: datetime | None = None
    asked_model: str | None = None
    references: tuple[str, ...] = ()
    thumbnail: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that ``--skip-bad-rows`` left out, with every problem it had, already worded for people."""

    line: int
    problems: tuple[str, ...]
    row: Mapping[str, str]


def attention_rank(state: State) -> int:
    """Where a state stands when what needs a person comes first; sort by it, then by line.

    0 failed or refused, 1 waiting, 2 cancelled, 3 still moving, 4 published.
    """
    if state is State.CANCELLED:
        return 2
    if state is State.PUBLISHED:
        return 4
    if state in WAITING:
        return 1
    return 0 if state in ENDED else 3
