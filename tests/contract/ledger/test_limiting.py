"""What the limits need of the ledger."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from tasks.core.dispatch import Ticket
from tasks.core.states import State
from tasks.ledger import limiting
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import image
from tests.contract.ledger.scene import AGES_AGO, MODEL, OTHER_MODEL, Scene, planned

LATER = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5)


def _row(ledger: Ledger, image_id: int) -> tuple[str, datetime | None]:
    with ledger.read() as connection:
        found = connection.execute(select(image.c.state, image.c.not_before).where(image.c.id == image_id)).one()
    return found.state, found.not_before


def test_changes_add_up_until_they_are_taken_back(ledger: Ledger) -> None:
    """A later change leaves the others as they are; no limit is a value, too."""
    assert limiting.overrides(ledger) == {}
    assert limiting.change_override(ledger, MODEL, {"per_minute": 30.0, "in_flight": 2}) == {
        "per_minute": 30.0,
        "in_flight": 2,
    }
    assert limiting.change_override(ledger, MODEL, {"per_minute": None})["in_flight"] == 2
    limiting.change_override(ledger, "cms", {"in_flight": 1})
    assert limiting.overrides(ledger) == {MODEL: {"per_minute": None, "in_flight": 2}, "cms": {"in_flight": 1}}
    limiting.remove_override(ledger, MODEL)
    assert limiting.overrides(ledger) == {"cms": {"in_flight": 1}}


def test_of_changes_at_the_same_time_none_is_lost(ledger: Ledger) -> None:
    """Several workers hear one ``celery control``, and an operator changes something else."""
    changes = [{"per_minute": 30.0}, {"in_flight": 2}, {"per_day": 100}, {"per_minute": 30.0}]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda change: limiting.change_override(ledger, MODEL, change), changes))
    assert limiting.overrides(ledger) == {MODEL: {"per_minute": 30.0, "in_flight": 2, "per_day": 100}}


def test_calls_are_known_by_model(scene: Scene) -> None:
    """What is being bought now, and how many calls have begun since a moment."""
    tickets = scene.tickets(3)
    other = scene.submit([planned(9, model=OTHER_MODEL)])
    (theirs,) = (dispatch.ticket for dispatch in scene.release(other, model=OTHER_MODEL))
    scene.generate(tickets[0])
    scene.claim(tickets[1])
    scene.claim(theirs)
    assert limiting.calls_under_way(scene.ledger) == {MODEL: [tickets[1]], OTHER_MODEL: [theirs]}
    assert limiting.calls_since(scene.ledger, AGES_AGO) == {MODEL: 2, OTHER_MODEL: 1}
    assert limiting.calls_since(scene.ledger, datetime.now(UTC) + timedelta(minutes=1)) == {}


def test_what_waits_for_its_limit_is_planned_again(scene: Scene) -> None:
    """Until then, or until the limit has changed."""
    ticket, other = scene.tickets(2)
    limiting.postpone(scene.ledger, ticket, LATER)
    assert _row(scene.ledger, ticket.image_id) == (State.PLANNED, LATER)
    limiting.end_waits(scene.ledger, OTHER_MODEL)
    assert _row(scene.ledger, ticket.image_id) == (State.PLANNED, LATER)
    limiting.end_waits(scene.ledger, MODEL)
    assert _row(scene.ledger, ticket.image_id) == (State.PLANNED, None)
    assert _row(scene.ledger, other.image_id) == (State.QUEUED, None)


def test_what_is_to_be_delivered_stays_as_it_is(scene: Scene) -> None:
    """A patch that waits for the CMS is sent again when its time has come."""
    (ticket,) = scene.tickets(1)
    scene.generate(ticket)
    scene.upload(ticket)
    limiting.postpone(scene.ledger, ticket, LATER)
    assert _row(scene.ledger, ticket.image_id) == (State.UPLOADED, LATER)


def test_an_old_message_postpones_nothing(scene: Scene) -> None:
    """Neither another sending of the image, nor one that is being bought."""
    ticket, claimed = scene.tickets(2)
    limiting.postpone(scene.ledger, Ticket(ticket.image_id, ticket.dispatch_no - 1), LATER)
    assert _row(scene.ledger, ticket.image_id) == (State.QUEUED, None)
    scene.claim(claimed)
    limiting.postpone(scene.ledger, claimed, LATER)
    assert _row(scene.ledger, claimed.image_id) == (State.GENERATING, None)
