"""Retrying begins a new round with what has failed, keeps what it was, and buys nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Row, func, select

from tasks.core.dispatch import StepName
from tasks.core.errors import Ambiguous, InputError, Invalid, Overloaded, Refused
from tasks.core.retry import Decision
from tasks.core.selection import Selection
from tasks.core.states import State
from tasks.ledger import claiming, delivering, reading, retrying, schema, summing
from tests.contract.ledger.scene import MODEL, PRICE, Scene, planned, race

FAILED = Decision(end=State.FAILED)
NEW_MODEL = "flux-9"


def ended(scene: Scene) -> tuple[str, dict[State, int]]:
    """A batch with one image in each end that is retried, and one published; its id, and the images by state."""
    batch_id = scene.submit(4)
    tickets = [dispatch.ticket for dispatch in scene.release(batch_id)]
    scene.publish(tickets[0])
    scene.fail(scene.claim(tickets[1]), Overloaded("503"), FAILED)
    scene.fail(scene.claim(tickets[2]), Refused("policy"), Decision(end=State.REFUSED))
    scene.fail(scene.claim(tickets[3]), Ambiguous("no answer"), Decision(end=State.UNKNOWN))
    states = (State.PUBLISHED, State.FAILED, State.REFUSED, State.UNKNOWN)
    return batch_id, {state: ticket.image_id for state, ticket in zip(states, tickets, strict=True)}


def revisions(scene: Scene, image_id: int) -> list[Row[Any]]:
    """What an image was before each retry."""
    query = select(schema.revision).where(schema.revision.c.image_id == image_id).order_by(schema.revision.c.id)
    with scene.ledger.read() as connection:
        return list(connection.execute(query))


def test_what_failed_is_planned_again_in_the_next_round(scene: Scene) -> None:
    """Failed, refused and unknown images have all their attempts again; the published one is left alone."""
    batch_id, images = ended(scene)
    retried = retrying.retry(scene.ledger, batch_id, Selection())
    assert (retried.images, retried.uncertain) == (3, 1)
    assert scene.counts(batch_id) == {State.PUBLISHED: 1, State.PLANNED: 3}
    assert scene.batch(batch_id).round == 2
    again = scene.image(images[State.UNKNOWN])
    assert (again.attempts, again.unknowns, again.error_class, again.error_message) == (0, 0, None, None)
    for dispatch in scene.release(batch_id):
        scene.publish(dispatch.ticket)
    assert scene.counts(batch_id) == {State.PUBLISHED: 4}
    assert summing.summarise(scene.ledger, batch_id).spent_usd_micros == 5 * PRICE


def test_what_it_was_is_kept(scene: Scene) -> None:
    """The lineage tells each end with its reason, and what the picture was to be made by."""
    batch_id, images = ended(scene)
    retrying.retry(scene.ledger, batch_id, Selection())
    (was,) = revisions(scene, images[State.REFUSED])
    assert (was.round, was.state, was.error_class, was.error_step) == (1, "refused", "refused", "generate")
    assert (was.prompt, was.model, was.attempts) == (planned(2).prompt, MODEL, 1)
    assert revisions(scene, images[State.PUBLISHED]) == []
    (shown,) = reading.revisions(scene.ledger, batch_id, planned(2).key)
    assert (shown.state, shown.error_message) == ("refused", "policy")


def test_each_round_has_its_own_revision(scene: Scene) -> None:
    """An image that fails again and is tried a third time has two."""
    batch_id = scene.submit(1)
    for _ in range(2):
        (dispatch,) = scene.release(batch_id)
        scene.fail(scene.claim(dispatch.ticket), Overloaded("503"), FAILED)
        retrying.retry(scene.ledger, batch_id, Selection())
    assert [was.round for was in revisions(scene, dispatch.ticket.image_id)] == [1, 2]


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        ("failed", {State.FAILED}),
        ("overloaded", {State.FAILED}),
        ("refused", {State.REFUSED}),
        ("unknown", {State.UNKNOWN}),
        ("ambiguous", {State.UNKNOWN}),
        ("invalid", set()),
    ],
)
def test_one_class_can_be_chosen(scene: Scene, only: str, chosen: set[State]) -> None:
    """By state or by error class; a choice of nothing is no new round."""
    batch_id, images = ended(scene)
    assert retrying.retry(scene.ledger, batch_id, Selection.of(only)).images == len(chosen)
    moved = {state for state, image_id in images.items() if scene.image(image_id).state == State.PLANNED}
    assert moved == chosen
    assert scene.batch(batch_id).round == (2 if chosen else 1)


def test_keys_can_be_chosen(scene: Scene) -> None:
    """Those named, as far as they have failed; a key that no picture has is found out beforehand."""
    batch_id, images = ended(scene)
    keys = [planned(0).key, planned(1).key]
    assert retrying.retry(scene.ledger, batch_id, Selection.of(None, keys)).images == 1
    assert scene.image(images[State.FAILED]).state == State.PLANNED
    reading.require_keys(scene.ledger, batch_id, keys)
    with pytest.raises(InputError, match="has the key 'SKU-9'"):
        reading.require_keys(scene.ledger, batch_id, [*keys, "SKU-9"])


def test_a_picture_that_is_bought_is_only_delivered(scene: Scene) -> None:
    """A failed upload or patch goes on where it stopped: no call, no money."""
    batch_id = scene.submit(1)
    (dispatch,) = scene.release(batch_id)
    scene.generate(dispatch.ticket)
    delivery = scene.delivery(dispatch.ticket, StepName.UPLOAD)
    delivering.settle_delivery_failure(scene.ledger, delivery, StepName.UPLOAD, Invalid("403"), FAILED)
    retried = retrying.retry(scene.ledger, batch_id, Selection())
    assert (retried.images, retried.uncertain) == (1, 0)
    (again,) = scene.release(batch_id)
    assert again.steps == (StepName.UPLOAD, StepName.PATCH)
    assert len(scene.attempts(dispatch.ticket.image_id)) == 1


def test_an_old_message_of_a_retried_image_does_nothing(scene: Scene) -> None:
    """Only the sending of the new round may buy."""
    batch_id = scene.submit(1)
    (old,) = scene.release(batch_id)
    scene.fail(scene.claim(old.ticket), Overloaded("503"), FAILED)
    retrying.retry(scene.ledger, batch_id, Selection())
    (new,) = scene.release(batch_id)
    assert new.ticket.dispatch_no > old.ticket.dispatch_no
    assert scene.claim(new.ticket).attempt == 1


def test_of_two_retries_at_once_each_image_is_retried_by_one(scene: Scene) -> None:
    """Two people press at the same moment: every image once, with one revision."""
    batch_id = scene.submit(20)
    for dispatch in scene.release(batch_id):
        scene.fail(scene.claim(dispatch.ticket), Overloaded("503"), FAILED)
    done = race(2, lambda _racer: retrying.retry(scene.ledger, batch_id, Selection()))
    assert sorted(each.images for each in done if isinstance(each, retrying.Retried)) == [0, 20]
    with scene.ledger.read() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.revision)) == 20
    assert scene.batch(batch_id).round == 2


def test_cancelled_images_are_retried_when_asked_for(scene: Scene) -> None:
    """It takes the cancellation back; nothing else does."""
    batch_id, images = ended(scene)
    scene.set_image(images[State.FAILED], state=State.CANCELLED, error_class="cancelled")
    scene.set_batch(batch_id, phase="cancelled")
    with pytest.raises(InputError, match="--only cancelled"):
        retrying.retry(scene.ledger, batch_id, Selection())
    assert retrying.retry(scene.ledger, batch_id, Selection.of("cancelled")).images == 1
    assert scene.batch(batch_id).phase == "started"
    assert len(scene.release(batch_id)) == 1


def test_an_edit_makes_another_picture_of_the_image(scene: Scene) -> None:
    """Model, prompt and fingerprint are the new ones; a model that is new to the batch can be bought from."""
    batch_id, images = ended(scene)
    new = planned(2, model=NEW_MODEL, fingerprint="f" * 64)
    more = {"models": {NEW_MODEL: {"alias": NEW_MODEL}}, "prices_usd_micros": {NEW_MODEL: 7}, "names": [NEW_MODEL]}
    retried = retrying.retry(scene.ledger, batch_id, Selection(), {images[State.REFUSED]: new}, more)
    assert retried.images == 1
    (dispatch,) = scene.release(batch_id, model=NEW_MODEL)
    claim = scene.claim(dispatch.ticket)
    assert (claim.spec["alias"], claim.price_usd_micros, claim.fingerprint) == (NEW_MODEL, 7, "f" * 64)
    assert scene.image(images[State.FAILED]).state == State.FAILED
    frozen = scene.batch(batch_id).catalogue
    assert (frozen["prices_usd_micros"][MODEL], frozen["names"]) == (PRICE, [NEW_MODEL])


def test_a_worker_that_knows_the_batch_learns_of_its_new_model(scene: Scene) -> None:
    """The catalogue that a process has kept is read again when the model is not in it."""
    batch_id = scene.submit(2)
    first, second = scene.release(batch_id)
    scene.generate(first.ticket)
    scene.fail(scene.claim(second.ticket), Overloaded("503"), FAILED)
    new = planned(1, model=NEW_MODEL, fingerprint="f" * 64)
    more = {"models": {NEW_MODEL: {"alias": NEW_MODEL}}, "prices_usd_micros": {NEW_MODEL: 7}}
    retrying.retry(scene.ledger, batch_id, Selection(), {second.ticket.image_id: new}, more)
    (dispatch,) = scene.release(batch_id, model=NEW_MODEL)
    assert isinstance(claiming.claim(scene.ledger, dispatch.ticket, scene.worker), claiming.Claim)


def test_an_edit_forgets_where_the_old_picture_is(scene: Scene) -> None:
    """Its URL would be shown as the new one's."""
    batch_id = scene.submit(1)
    (dispatch,) = scene.release(batch_id)
    scene.generate(dispatch.ticket)
    scene.upload(dispatch.ticket)
    delivery = scene.delivery(dispatch.ticket, StepName.PATCH)
    delivering.settle_delivery_failure(scene.ledger, delivery, StepName.PATCH, Invalid("404"), FAILED)
    new = planned(0, fingerprint="f" * 64)
    retrying.retry(scene.ledger, batch_id, Selection(), {dispatch.ticket.image_id: new})
    image = scene.image(dispatch.ticket.image_id)
    assert (image.public_url, image.output_key) == (None, None)


def test_the_chosen_can_be_read_before(scene: Scene) -> None:
    """With the row that they were made of, in the order of the source."""
    batch_id, _images = ended(scene)
    found = list(retrying.chosen(scene.ledger, batch_id, Selection()))
    assert [(each.line, each.variant, each.row["sku"]) for each in found] == [
        (n + 1, 1, planned(n).key) for n in (1, 2, 3)
    ]
