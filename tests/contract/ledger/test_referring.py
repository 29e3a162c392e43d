"""Pictures to start from: kept in staging while an image may need them, and found among the published ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.dispatch import StepName
from tasks.core.plan import PlannedImage
from tasks.core.references import Reference
from tasks.core.selection import Selection
from tasks.core.states import State
from tasks.ledger import claiming, delivering, referring, retrying, submitting
from tasks.ledger.referring import PublishedCopy, StagedReference
from tests.contract.ledger.scene import AGES_AGO, Scene, new_batch, planned

FRONT = Reference("front.png", "f" * 64, "references/front.png")
BACK = Reference("https://x/back.png", "b" * 64, "references/back.png")
LATER = timedelta(hours=1)


def edit(number: int = 1, *references: Reference, variant: int = 1) -> PlannedImage:
    """An image of row ``number`` that starts from these pictures, from FRONT when none is named."""
    fingerprint = f"{10 * number + variant:064x}"
    return replace(
        planned(number, variant=variant, fingerprint=fingerprint),  # type: ignore[arg-type]
        references=references or (FRONT,),
    )


def stage(scene: Scene, reference: Reference = FRONT) -> None:
    """Put it on record."""
    assert referring.add_staged(scene.ledger, reference.sha256, reference.staging_key) == reference.staging_key


def unneeded(scene: Scene) -> list[str]:
    """The keys of what may go, an hour from now."""
    return [copy.staging_key for copy in window(scene)]


def window(scene: Scene) -> tuple[StagedReference, ...]:
    """What may go, an hour from now."""
    return referring.unneeded(scene.ledger, soon(), None, 100).unneeded


def soon() -> datetime:
    """An hour from now."""
    return datetime.now(UTC) + LATER


def test_a_claim_brings_its_references_in_order(scene: Scene) -> None:
    """As they were planned; an image without any has none."""
    with_two, without = scene.tickets([edit(1, BACK, FRONT), planned(2)])  # type: ignore[arg-type]
    assert scene.claim(with_two).references == (BACK, FRONT)
    assert scene.claim(without).references == ()
    orphan = claiming.claim_of(scene.ledger, with_two)
    assert orphan is not None
    assert orphan.references == (BACK, FRONT)


def test_bytes_are_staged_once(scene: Scene) -> None:
    """Who comes second uses what is there; of two at once, the second learns the first one's key."""
    assert referring.use_staged(scene.ledger, FRONT.sha256) is None
    stage(scene)
    assert referring.use_staged(scene.ledger, FRONT.sha256) == FRONT.staging_key
    assert referring.add_staged(scene.ledger, FRONT.sha256, "references/again.png") == FRONT.staging_key


@pytest.mark.parametrize("state", sorted(set(State) - {State.PUBLISHED}))
def test_what_an_image_may_need_stays(scene: Scene, state: State) -> None:
    """Until every variant of every row that starts from it has been published for a while."""
    stage(scene)
    first, second = scene.tickets([edit(1), edit(1, variant=2)])  # type: ignore[arg-type]
    scene.publish(first)
    scene.set_image(first.image_id, published_at=AGES_AGO)
    scene.set_image(second.image_id, state=state, moved_at=AGES_AGO)
    assert unneeded(scene) == []
    scene.set_image(second.image_id, state=State.PUBLISHED, published_at=AGES_AGO)
    assert unneeded(scene) == [FRONT.staging_key]


def test_what_was_asked_for_a_moment_ago_stays(scene: Scene) -> None:
    """Its batch may still be on its way into the ledger."""
    stage(scene)
    assert referring.unneeded(scene.ledger, datetime.now(UTC) - LATER, None, 100).unneeded == ()


def test_nobody_gets_a_copy_that_is_leaving(scene: Scene) -> None:
    """It is put there again under another key, which the removal of the old one leaves alone."""
    stage(scene)
    (copy,) = window(scene)
    assert referring.begin_removal(scene.ledger, copy, soon())
    assert referring.use_staged(scene.ledger, FRONT.sha256) is None
    assert referring.add_staged(scene.ledger, FRONT.sha256, "references/anew.png") == "references/anew.png"
    referring.end_removal(scene.ledger, copy)
    assert referring.use_staged(scene.ledger, FRONT.sha256) == "references/anew.png"


def test_a_removal_that_was_broken_off_is_found_again(scene: Scene) -> None:
    """Whoever dies in the middle leaves it to the next pass; afterwards nothing is on record."""
    stage(scene)
    (copy,) = window(scene)
    assert referring.begin_removal(scene.ledger, copy, soon())
    (again,) = window(scene)
    assert referring.begin_removal(scene.ledger, again, soon())
    referring.end_removal(scene.ledger, again)
    assert window(scene) == ()


def test_who_asks_first_keeps_it(scene: Scene) -> None:
    """Between looking and removing somebody has come to need it."""
    stage(scene)
    (copy,) = window(scene)
    assert referring.use_staged(scene.ledger, FRONT.sha256) == FRONT.staging_key
    assert not referring.begin_removal(scene.ledger, copy, soon())
    (copy,) = window(scene)
    scene.submit([edit(1)])  # type: ignore[arg-type]
    assert not referring.begin_removal(scene.ledger, copy, soon())


def test_windows_go_through_all_of_them(scene: Scene) -> None:
    """Each begins where the last one has ended, and the last one leads back to the beginning."""
    for number in range(5):
        stage(scene, replace(FRONT, sha256=f"{number:064x}", staging_key=f"references/{number}.png"))
    found, after = [], None
    while True:
        seen = referring.unneeded(scene.ledger, soon(), after, 2)
        found += [copy.staging_key for copy in seen.unneeded]
        if (after := seen.after) is None:
            break
    assert found == [f"references/{number}.png" for number in range(5)]


def test_what_was_never_started_needs_nothing(scene: Scene) -> None:
    """A batch that is taken back lets its pictures go."""
    stage(scene)
    submitting.create_batch(scene.ledger, new_batch("b-x"))
    submitting.add_images(scene.ledger, "b-x", [edit(1)])
    assert unneeded(scene) == []
    submitting.discard(scene.ledger, "b-x")
    assert unneeded(scene) == [FRONT.staging_key]


def test_a_retry_keeps_them(scene: Scene) -> None:
    """As they were; an edit gets what its plan says."""
    (ticket,) = scene.tickets([edit(1)])  # type: ignore[arg-type]
    batch_id = scene.image(ticket.image_id).batch_id
    scene.set_image(ticket.image_id, state=State.FAILED, error_class="overloaded")
    (chosen,) = retrying.chosen(scene.ledger, batch_id, Selection())
    assert [Reference(**each) for each in chosen.reference or ()] == [FRONT]
    assert retrying.retry(scene.ledger, batch_id, Selection()).images == 1
    (again,) = scene.release(batch_id)
    assert scene.claim(again.ticket).references == (FRONT,)
    scene.set_image(ticket.image_id, state=State.FAILED, error_class="overloaded")
    retrying.retry(scene.ledger, batch_id, Selection(), {ticket.image_id: edit(1, BACK)})
    (again,) = scene.release(batch_id)
    assert scene.claim(again.ticket).references == (BACK,)


def test_the_newest_published_picture_of_each_key(scene: Scene) -> None:
    """The first variant of the newest batch that has published one, with both places of its bytes."""
    old, other = scene.tickets([edit(1), edit(2)])  # type: ignore[arg-type]
    for ticket in (old, other):
        scene.publish(ticket)
    second, first = scene.tickets([edit(1, variant=4), edit(1, variant=3)])  # type: ignore[arg-type]
    for ticket in (second, first):
        scene.publish(ticket)
    (unpublished,) = scene.tickets([edit(1, variant=5)])  # type: ignore[arg-type]
    scene.generate(unpublished)
    scene.set_image(old.image_id, created_at=AGES_AGO)
    found = referring.newest_published(scene.ledger, ["SKU-00001", "SKU-00002", "SKU-00003"])
    assert found == {
        "SKU-00001": PublishedCopy("SKU-00001", f"staged/{13:08x}.png", "SKU-00001-3.png"),
        "SKU-00002": PublishedCopy("SKU-00002", f"staged/{21:08x}.png", "SKU-00002.png"),
    }


def test_the_public_variants_of_a_row(scene: Scene) -> None:
    """Those that are uploaded or published, in order; what waits for a look, is missing or has failed is left out."""
    tickets = scene.tickets([edit(1, variant=variant) for variant in (1, 2, 3, 4)] + [edit(2)])  # type: ignore[arg-type]
    failed, second, third, held, alone = tickets
    scene.set_image(failed.image_id, state=State.FAILED)
    for ticket in (held, third, second, alone):
        scene.generate(ticket)
        scene.upload(ticket)
    scene.set_image(held.image_id, state=State.HELD)
    delivery = scene.delivery(third, StepName.PATCH)
    assert delivery.has_variants
    assert not scene.delivery(alone, StepName.PATCH).has_variants
    scene.publish_uploaded(second)
    found = delivering.uploaded_variants(scene.ledger, delivery)
    assert [(each.variant, each.published) for each in found] == [(2, True), (3, False)]


def test_staging_is_needed_by_what_is_to_start_from_it(scene: Scene) -> None:
    """A worker with another staging must not join while a row waits for its pictures."""
    scene.submit([planned(2)])
    assert not delivering.needs_staging(scene.ledger)
    scene.submit([edit(1)])  # type: ignore[arg-type]
    assert delivering.needs_staging(scene.ledger)
