"""What the sweep finds: work that no message and no living worker will move on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tasks.core.states import State
from tasks.ledger.dispatching import give_back
from tasks.ledger.sweeping import releasable, unclaimed_before
from tests.contract.ledger.scene import AGES_AGO, MODEL, OTHER_MODEL, Scene, planned

LONG_AGO = AGES_AGO + timedelta(days=1)


def test_what_was_sent_long_ago_and_never_taken_is_lost(scene: Scene) -> None:
    """Queued, generated and uploaded images wait for a message; the others do not."""
    tickets = scene.tickets(len(State))
    for ticket, state in zip(tickets, State, strict=True):
        scene.set_image(ticket.image_id, state=state, moved_at=AGES_AGO)
    lost = {State(scene.image(ticket.image_id).state) for ticket in unclaimed_before(scene.ledger, LONG_AGO)}
    assert lost == {State.QUEUED, State.GENERATED, State.UPLOADED}


def test_what_was_sent_lately_is_not_lost(scene: Scene) -> None:
    """A message has its time to arrive."""
    old, _new = scene.tickets(2)
    scene.age([old.image_id])
    assert unclaimed_before(scene.ledger, LONG_AGO) == [old]


def test_the_sweep_looks_at_so_many_at_once(scene: Scene) -> None:
    """After a disaster it works in portions, oldest first."""
    tickets = scene.tickets(5)
    scene.age([ticket.image_id for ticket in tickets])
    assert unclaimed_before(scene.ledger, LONG_AGO, limit=3) == tickets[:3]


def test_what_can_be_released(scene: Scene) -> None:
    """Every model with planned images that are due, of batches that have started."""
    waiting, _empty = scene.submit(1), scene.submit([planned(0, model=OTHER_MODEL)])
    scene.release_model(model=OTHER_MODEL)
    (dispatch,) = scene.release(waiting)
    give_back(scene.ledger, dispatch.ticket, not_before=datetime.now(UTC) + timedelta(hours=1))
    cancelled = scene.submit(1)
    scene.set_batch(cancelled, phase="cancelled")
    assert releasable(scene.ledger) == []
    scene.set_image(dispatch.ticket.image_id, not_before=datetime.now(UTC) - timedelta(seconds=1))
    assert releasable(scene.ledger) == [MODEL]
    scene.submit([planned(1), planned(2, model=OTHER_MODEL)])
    assert releasable(scene.ledger) == sorted([MODEL, OTHER_MODEL])
