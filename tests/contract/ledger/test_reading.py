"""What people and reports see of the ledger."""

from __future__ import annotations

import pytest

from tasks.core.errors import InputError, Overloaded
from tasks.core.retry import Decision
from tasks.core.states import State
from tasks.core.views import attention_rank
from tasks.ledger import reading
from tests.contract.ledger.scene import MODEL, OTHER_MODEL, PRICE, Scene, planned


def test_what_needs_a_person_comes_first(scene: Scene) -> None:
    """Images are listed by how much they need somebody, then by line."""
    tickets = scene.tickets(2 * len(State))
    for ticket, state in zip(tickets, [*State, *reversed(State)], strict=True):
        scene.set_image(ticket.image_id, state=state)
    views = list(reading.images(scene.ledger, scene.image(tickets[0].image_id).batch_id))
    order = [(attention_rank(view.state), view.line) for view in views]
    assert order == sorted(order)
    assert len(views) == 2 * len(State)


def test_images_that_move_while_they_are_read_are_read_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report made of a running batch has each image exactly once."""
    monkeypatch.setattr(reading, "PAGE", 2)
    tickets = scene.tickets(6)
    batch_id = scene.image(tickets[0].image_id).batch_id
    seen = []
    for view in reading.images(scene.ledger, batch_id):
        seen.append(view.key)
        for ticket in tickets:
            scene.set_image(ticket.image_id, state=State.PUBLISHED if len(seen) % 2 else State.FAILED)
    assert sorted(seen) == [planned(n).key for n in range(6)]


def test_more_images_than_a_page(scene: Scene) -> None:
    """Every image of a large batch is read, with its thumbnail where there is one."""
    batch_id = scene.submit(reading.PAGE + 3)
    ticket = scene.release(batch_id, window=1)[0].ticket
    scene.generate(ticket)
    views = list(reading.images(scene.ledger, batch_id, thumbnails=True))
    assert len({view.key for view in views}) == reading.PAGE + 3
    assert [view.key for view in views if view.thumbnail] == [planned(0).key]


def test_images_of_one_key(scene: Scene) -> None:
    """All variants of a key, and nothing else; thumbnails only where they are asked for."""
    batch_id = scene.submit([planned(1), planned(2, variant=1), planned(2, variant=2, fingerprint="v" * 64)])
    assert [view.variant for view in reading.images(scene.ledger, batch_id, key=planned(2).key)] == [1, 2]
    assert [view.thumbnail for view in reading.images(scene.ledger, batch_id)] == [None] * 3


def test_counts_and_models(scene: Scene) -> None:
    """Only what is there is counted."""
    batch_id = scene.submit([planned(0), planned(1), planned(2, model=OTHER_MODEL)])
    scene.release(batch_id, window=1)
    assert reading.state_counts(scene.ledger, batch_id) == {State.PLANNED: 2, State.QUEUED: 1}
    assert reading.batch_models(scene.ledger, batch_id) == [MODEL, OTHER_MODEL]
    assert reading.state_counts(scene.ledger, "another") == {}


def test_every_paid_call_of_a_key(scene: Scene) -> None:
    """The history of an image, oldest call first."""
    (ticket,) = scene.tickets()
    claimed = scene.claim(ticket)
    scene.fail(claimed, Overloaded("503"), Decision(wait_seconds=1.0))
    scene.generate(ticket)
    first, second = reading.attempts(scene.ledger, claimed.batch_id, claimed.key)
    assert (first.number, first.outcome, first.message, first.cost_usd_micros) == (1, "overloaded", "503", 0)
    assert (second.number, second.outcome, second.trace_id, second.cost_usd_micros) == (
        2,
        "generated",
        "trace-2",
        PRICE,
    )


def test_finding_a_batch(scene: Scene) -> None:
    """By id, by the beginning of an id, by name; the newest without any of these."""
    first = scene.submit(1, name="spring")
    second = scene.submit(1, name="autumn")
    assert reading.find_batch(scene.ledger).id == second
    assert reading.find_batch(scene.ledger, first).id == first
    assert reading.find_batch(scene.ledger, "spring").id == first
    assert [row.id for row in reading.list_batches(scene.ledger)] == [second, first]
    with pytest.raises(InputError, match="fits several batches"):
        reading.find_batch(scene.ledger, "b-")
    for pattern in ("%", "b_1", "nothing"):
        with pytest.raises(InputError, match="no batch"):
            reading.find_batch(scene.ledger, pattern)


def test_an_id_that_begins_another_is_found(scene: Scene) -> None:
    """The whole id wins over a longer one, however many there are."""
    ids = [scene.submit(0) for _ in range(19)]
    assert reading.find_batch(scene.ledger, ids[0]).id == "b-1"
