"""Which staged pictures nobody needs any more, and what follows when one is gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.dispatch import StepName, Ticket
from tasks.core.states import State
from tasks.ledger import holding, keeping
from tasks.ledger.keeping import StagedCopy
from tests.contract.ledger.scene import AGES_AGO, PRICE, Scene, planned

LATER = timedelta(hours=1)
FINGERPRINT = f"{7:064x}"


def unneeded(scene: Scene, before: datetime | None = None) -> list[str]:
    """The fingerprints of what may go, an hour from now unless told."""
    return [copy.fingerprint for copy in window(scene, before).unneeded]


def window(scene: Scene, before: datetime | None = None) -> keeping.Window:
    """The first window."""
    return keeping.unneeded(scene.ledger, before or datetime.now(UTC) + LATER, None, 100)


def one(scene: Scene) -> Ticket:
    """A queued image of the one fingerprint."""
    (ticket,) = scene.tickets([planned(1, fingerprint=FINGERPRINT)])  # type: ignore[arg-type]
    return ticket


def reusing(scene: Scene) -> Ticket:
    """An image of another batch that has got the picture of the first, and is to upload it."""
    batch_id = scene.submit([planned(2, fingerprint=FINGERPRINT)])
    (dispatch,) = scene.release(batch_id)
    assert scene.image(dispatch.ticket.image_id).state == State.GENERATED
    return dispatch.ticket


def test_what_is_published_may_go_after_its_time(scene: Scene) -> None:
    """Not before: the time counts from the publication."""
    scene.publish(one(scene))
    assert unneeded(scene, datetime.now(UTC) - LATER) == []
    assert unneeded(scene) == [FINGERPRINT]


@pytest.mark.parametrize("state", sorted(set(State) - {State.PUBLISHED}))
def test_a_picture_that_somebody_may_need_stays(scene: Scene, state: State) -> None:
    """Whatever state another image of it is in: it waits, is under way, or may be tried again."""
    scene.publish(one(scene))
    ticket = reusing(scene)
    scene.set_image(ticket.image_id, state=state, moved_at=AGES_AGO)
    assert unneeded(scene) == []
    scene.set_image(ticket.image_id, state=State.PUBLISHED, published_at=AGES_AGO)
    assert unneeded(scene) == [FINGERPRINT]


def test_what_was_never_published_stays(scene: Scene) -> None:
    """It is paid for, and there is no other copy of it."""
    ticket = one(scene)
    scene.generate(ticket)
    scene.set_image(ticket.image_id, state=State.CANCELLED, moved_at=AGES_AGO)
    assert unneeded(scene) == []


def test_a_removed_copy_is_not_looked_at_again(scene: Scene) -> None:
    """It is marked, unless an image has come to need it in the meantime."""
    scene.publish(one(scene))
    (copy,) = window(scene).unneeded
    ticket = reusing(scene)
    keeping.mark_removed(scene.ledger, copy)
    assert scene.picture(FINGERPRINT).staging_key == copy.staging_key
    scene.upload(ticket)
    scene.publish_uploaded(ticket)
    keeping.mark_removed(scene.ledger, copy)
    assert scene.picture(FINGERPRINT).staging_key is None
    assert unneeded(scene) == []


def test_windows_go_through_all_of_it(scene: Scene) -> None:
    """Each window begins where the last one has ended, and the last one leads back to the beginning."""
    for ticket in scene.tickets(7):
        scene.publish(ticket)
    found: list[StagedCopy] = []
    after = None
    sizes = []
    while True:
        seen = keeping.unneeded(scene.ledger, datetime.now(UTC) + LATER, after, 3)
        found += seen.unneeded
        sizes.append(len(seen.unneeded))
        if (after := seen.after) is None:
            break
    assert sizes == [3, 3, 1]
    assert len({copy.fingerprint for copy in found}) == 7


def test_where_a_picture_was_published(scene: Scene) -> None:
    """The latest key first; an image that has none says nothing."""
    assert keeping.published_as(scene.ledger, FINGERPRINT) == []
    scene.publish(one(scene))
    ticket = reusing(scene)
    assert keeping.published_as(scene.ledger, FINGERPRINT) == ["SKU-00001.png"]
    scene.upload(ticket)
    assert keeping.published_as(scene.ledger, FINGERPRINT) == ["SKU-00002.png", "SKU-00001.png"]


def give_up(scene: Scene, ticket: Ticket) -> bool:
    """Neither copy is left."""
    return keeping.give_up(scene.ledger, scene.delivery(ticket, StepName.UPLOAD), "gone")


def test_a_lost_picture_is_bought_again_only_after_a_persons_word(scene: Scene) -> None:
    """In the round that finds it out it stays bought; after a resume its image is to be bought anew, once."""
    ticket = one(scene)
    scene.generate(ticket)
    batch_id = scene.image(ticket.image_id).batch_id
    assert not give_up(scene, ticket)
    assert not give_up(scene, ticket)
    assert scene.picture(FINGERPRINT).bought
    scene.set_image(ticket.image_id, state=State.HELD, error_class="lost")
    assert holding.resume(scene.ledger, batch_id) == 1
    (again,) = scene.release(batch_id)
    assert scene.image(ticket.image_id).state == State.GENERATED
    assert give_up(scene, again.ticket)
    row = scene.image(ticket.image_id)
    assert (row.state, row.error_class, row.error_message) == (State.PLANNED, "lost", "gone")
    (anew,) = scene.release(batch_id)
    scene.publish(anew.ticket)
    assert scene.batch(batch_id).spent_usd_micros == 2 * PRICE
    assert len(scene.attempts(ticket.image_id)) == 2


def test_another_batch_asks_again(scene: Scene) -> None:
    """A person's word for one batch is none for the next, which did not know."""
    first = one(scene)
    scene.generate(first)
    second = reusing(scene)
    assert not give_up(scene, first)
    assert not give_up(scene, second)
    assert scene.picture(FINGERPRINT).bought


def test_who_comes_after_the_picture_was_forgotten_waits_for_the_new_one(scene: Scene) -> None:
    """The picture is not bought any more: the image goes back, whatever its own batch knows of it."""
    first = one(scene)
    scene.generate(first)
    second = reusing(scene)
    assert not give_up(scene, first)
    scene.set_batch(scene.image(first.image_id).batch_id, round=2)
    assert give_up(scene, first)
    assert give_up(scene, second)
    assert scene.image(second.image_id).state == State.PLANNED


def test_a_restored_picture_is_as_staged_as_ever(scene: Scene) -> None:
    """It can be removed again, and a later loss is news again."""
    ticket = one(scene)
    scene.generate(ticket)
    delivery = scene.delivery(ticket, StepName.UPLOAD)
    assert not give_up(scene, ticket)
    keeping.mark_restored(scene.ledger, delivery, "staged/anew.png")
    scene.set_batch(delivery.batch_id, round=2)
    assert scene.picture(FINGERPRINT).staging_key == "staged/anew.png"
    assert not give_up(scene, ticket)
