"""What a message can show of a batch: a few pictures, and what it should cost."""

from __future__ import annotations

from tasks.core.showing import Shown
from tasks.core.states import State
from tasks.ledger.showing import expected_usd_micros, samples
from tests.contract.ledger.scene import MODEL, OTHER_MODEL, PRICE, Scene, catalogue, planned


def test_pictures_are_spread_over_the_whole_batch(scene: Scene) -> None:
    """Of those that are published, from the first to the last."""
    batch_id = scene.submit(14)
    sent = scene.release(batch_id)
    for number, dispatch in enumerate(sent):
        url = f"https://cdn.example.com/{number}.png"
        scene.set_image(dispatch.ticket.image_id, state=State.PUBLISHED, public_url=url)
    for dispatch in (sent[0], sent[12], sent[13]):
        scene.set_image(dispatch.ticket.image_id, state=State.FAILED)
    found = samples(scene.ledger, batch_id)
    assert [each.key for each in found] == [planned(n).key for n in (1, 3, 5, 7, 9, 11)]
    assert found[0] == Shown(planned(1).key, "https://cdn.example.com/1.png")


def test_pictures_that_nobody_may_see_are_not_shown(scene: Scene) -> None:
    """A folder's, and a batch's that has none."""
    batch_id = scene.submit(2)
    assert samples(scene.ledger, batch_id) == []
    for dispatch in scene.release(batch_id):
        scene.set_image(dispatch.ticket.image_id, state=State.PUBLISHED, public_url="file:///srv/a.png")
    assert samples(scene.ledger, batch_id) == []


def test_the_expected_cost_is_that_of_what_is_to_be_bought(scene: Scene) -> None:
    """Each picture once, at its model's price, and not what is there already."""
    scene.generate(scene.tickets(1)[0])
    twice = [planned(1), planned(2, fingerprint=planned(1).fingerprint)]
    batch_id = scene.submit([planned(0), *twice, planned(3, model=OTHER_MODEL)])
    assert expected_usd_micros(scene.ledger, batch_id) == 2 * PRICE
    assert expected_usd_micros(scene.ledger, scene.submit(0)) == 0


def test_a_model_without_a_price_has_no_expected_cost(scene: Scene) -> None:
    """Half a sum would be a lie; a model that the batch does not use has no say."""
    unpriced = catalogue() | {"unpriced": [OTHER_MODEL]}
    fine = scene.submit([planned(5, model=MODEL)], catalogue=unpriced)
    assert expected_usd_micros(scene.ledger, fine) == PRICE
    unknown = scene.submit([planned(6), planned(7, model=OTHER_MODEL)], catalogue=unpriced)
    assert expected_usd_micros(scene.ledger, unknown) is None
