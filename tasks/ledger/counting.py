"""What a batch has come to, in numbers. Each question is answered by an index alone, however large the batch is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, select

from tasks.core.eta import LATELY_SECONDS, Recent
from tasks.core.states import ACTIVE, State, add_up
from tasks.core.summary import FailureGroup, Fallback
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import AT_REST, FELL_BACK, MISSED, image

_EXAMPLES = 5
_MOVING = sorted(ACTIVE - {State.PLANNED})
_BY_WORK = sorted({State.PUBLISHED, State.FAILED, State.REFUSED})
"""Ends that images come to one by one; held and cancelled are many at once, which is no pace."""

_MINE = image.c.batch_id == bindparam("the_batch")
_REASON = (image.c.state, image.c.error_class, image.c.error_step)
_TALLY = (
    select(image.c.state, image.c.model, image.c.reused, func.count())
    .where(_MINE)
    .group_by(image.c.state, image.c.model, image.c.reused)
)
_RECENT = (
    select(image.c.model, func.count(), func.min(image.c.moved_at))
    .where(_MINE, AT_REST, image.c.moved_at > bindparam("since"), image.c.state.in_(_BY_WORK))
    .group_by(image.c.model)
)
_LAST_MOVES = select(
    select(func.max(image.c.moved_at)).where(_MINE, AT_REST).scalar_subquery(),
    # What is released at a time is bounded: these are few.
    select(func.max(image.c.moved_at)).where(_MINE, image.c.state.in_(_MOVING)).scalar_subquery(),
)
_REASONS = (
    select(*_REASON, func.count().label("images"))
    .where(_MINE, MISSED)
    .group_by(*_REASON)
    .order_by(func.count().desc(), *_REASON)
)


_FELL_BACK = (
    select(
        image.c.asked_model, image.c.model, func.count(), func.sum(case((image.c.state == State.PUBLISHED, 1), else_=0))
    )
    .where(_MINE, FELL_BACK)
    .group_by(image.c.asked_model, image.c.model)
    .order_by(image.c.asked_model, image.c.model)
)


@dataclass(frozen=True, slots=True)
class Tally:
    """A batch counted by model and state; what there is none of is left out. ``reused`` images cost nothing."""

    by_model: Mapping[str, Mapping[State, int]]
    reused: int

    @property
    def counts(self) -> dict[State, int]:
        """All models together."""
        return add_up(self.by_model.values())


def tally(connection: Connection, batch_id: str) -> Tally:
    """Count in one pass over one index."""
    by_model: defaultdict[str, Counter[State]] = defaultdict(Counter)
    reused = 0
    for state, model, is_reused, images in connection.execute(_TALLY, {"the_batch": batch_id}):
        by_model[model][State(state)] += images
        reused += images * is_reused
    return Tally({model: dict(by_model[model]) for model in sorted(by_model)}, reused)


def tally_and_pace(ledger: Ledger, batch_id: str) -> tuple[Tally, dict[str, Recent]]:
    """What a progress bar needs: the counts, and by model what ended in the last minute."""
    with ledger.read() as connection:
        return tally(connection, batch_id), recent_ends(connection, batch_id)


def recent_ends(connection: Connection, batch_id: str) -> dict[str, Recent]:
    """By model, the images that ended in the last minute; models without any are left out."""
    now = datetime.now(UTC)
    rows = connection.execute(_RECENT, {"the_batch": batch_id, "since": now - timedelta(seconds=LATELY_SECONDS)})
    return {model: Recent(ended, max(0.0, (now - first).total_seconds())) for model, ended, first in rows}


def last_move(connection: Connection, batch_id: str) -> datetime | None:
    """When an image was last taken on or came to an end; ``None`` while all are still planned."""
    moves = connection.execute(_LAST_MOVES, {"the_batch": batch_id}).one()
    return max((moment for moment in moves if moment is not None), default=None)


def fallbacks(connection: Connection, batch_id: str) -> tuple[Fallback, ...]:
    """How many images went over from which model to which."""
    return tuple(Fallback(*row) for row in connection.execute(_FELL_BACK, {"the_batch": batch_id}))


def failure_groups(connection: Connection, batch_id: str) -> tuple[FailureGroup, ...]:
    """Why images failed or wait, the most frequent reason first, each with the first few keys it struck."""
    reasons = connection.execute(_REASONS, {"the_batch": batch_id}).all()
    return tuple(_group(reason, _first(connection, batch_id, reason)) for reason in reasons)


def _first(connection: Connection, batch_id: str, reason: Row[Any]) -> Sequence[Row[str, str | None]]:
    same = [column == getattr(reason, column.name) for column in _REASON]
    return connection.execute(
        select(image.c.key, image.c.error_message)
        .where(image.c.batch_id == batch_id, MISSED, *same)
        .order_by(*_REASON, image.c.id)  # the order of the index: the first of a hundred thousand, and no sorting
        .limit(_EXAMPLES)
    ).all()


def _group(reason: Row[Any], examples: Sequence[Row[str, str | None]]) -> FailureGroup:
    return FailureGroup(
        state=State(reason.state),
        error_class=reason.error_class or reason.state,
        step=reason.error_step or "",
        message=examples[0].error_message or "",
        count=reason.images,
        example_keys=tuple(row.key for row in examples),
    )
