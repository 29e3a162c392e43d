"""What the limits need of the ledger: an operator's changes, calls under way and since a moment, longer waits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import delete, func, select, update

from tasks.core.dispatch import Ticket
from tasks.core.states import State
from tasks.ledger.dispatching import give_back
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import attempt, image, limit_override
from tasks.ledger.upsert import insert_or_replace

Override = Mapping[str, float | None]
"""What an operator has changed: ``None`` means no limit, an absent name means the catalogue's."""


def overrides(ledger: Ledger) -> dict[str, Override]:
    """Everything that operators have changed, by the name of what is limited."""
    with ledger.read() as connection:
        rows = connection.execute(select(limit_override.c.name, limit_override.c.limits)).all()
    return {row.name: row.limits for row in rows}


def change_override(ledger: Ledger, name: str, changes: Override) -> Override:
    """Add changes to those made before; returns all of the name's."""
    with ledger.write() as connection:
        ledger.take_turns(connection, f"limits of {name}")
        before = connection.scalar(select(limit_override.c.limits).where(limit_override.c.name == name))
        values = {"limits": {**(before or {}), **changes}, "changed_at": datetime.now(UTC)}
        insert_or_replace(connection, limit_override, [limit_override.c.name], {"name": name, **values})
    return values["limits"]  # type: ignore[return-value]


def remove_override(ledger: Ledger, name: str) -> None:
    """Go back to the catalogue's limits."""
    with ledger.write() as connection:
        connection.execute(delete(limit_override).where(limit_override.c.name == name))


def calls_under_way(ledger: Ledger) -> dict[str, list[Ticket]]:
    """The images that somebody is buying now, by model."""
    found: dict[str, list[Ticket]] = {}
    with ledger.read() as connection:
        rows = connection.execute(
            select(image.c.model, image.c.id, image.c.dispatch_no).where(image.c.state == State.GENERATING)
        )
        for row in rows:
            found.setdefault(row.model, []).append(Ticket(row.id, row.dispatch_no))
    return found


def calls_since(ledger: Ledger, moment: datetime) -> dict[str, int]:
    """How many calls of each model have begun since then."""
    query = (
        select(attempt.c.model, func.count().label("calls"))
        .where(attempt.c.started_at >= moment)
        .group_by(attempt.c.model)
    )
    with ledger.read() as connection:
        return {row.model: row.calls for row in connection.execute(query)}


def end_waits(ledger: Ledger, model: str) -> None:
    """Let the images of a model that wait for its limit be tried again: it has changed."""
    waiting = (image.c.state == State.PLANNED, image.c.model == model, image.c.not_before > datetime.now(UTC))
    with ledger.write() as connection:
        ids = select(image.c.id).where(*waiting).order_by(image.c.id).with_for_update()
        connection.execute(update(image).where(image.c.id.in_(ids)).values(not_before=None))


def postpone(ledger: Ledger, ticket: Ticket, not_before: datetime) -> None:
    """Let an image wait in the ledger for its limit; a message that is out of date moves nothing.

    One that was to be bought is ``planned`` again; one that was to be delivered stays, and is sent again by the sweep.
    """
    if give_back(ledger, ticket, not_before):
        return
    with ledger.write(lasting=False) as connection:
        connection.execute(
            update(image)
            .where(
                image.c.id == ticket.image_id,
                image.c.dispatch_no == ticket.dispatch_no,
                image.c.state == State.UPLOADED,
            )
            .values(not_before=not_before, moved_at=datetime.now(UTC))
        )
