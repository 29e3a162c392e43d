"""Upload and patch: free, repeatable, and out of date when the image was sent again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import Account, Invalid, Overloaded, Superseded
from tasks.core.holds import Reason
from tasks.core.retry import PARKED, Decision
from tasks.core.states import State
from tasks.ledger import holding, submitting, summing, sweeping
from tasks.ledger.delivering import (
    count_start,
    load,
    needs_staging,
    park,
    settle_delivery_failure,
    settle_published,
    settle_uploaded,
)
from tasks.ledger.dispatching import redispatch
from tests.contract.ledger.scene import Scene, planned, race

SOON = Decision(wait_seconds=2.0)


@pytest.fixture
def generated(scene: Scene) -> Ticket:
    """An image that is ready to be uploaded."""
    (ticket,) = scene.tickets()
    scene.generate(ticket)
    return ticket


def test_upload_then_patch(scene: Scene, generated: Ticket) -> None:
    """Each step's result is kept, and the image is published at the end."""
    scene.upload(generated)
    delivery = scene.delivery(generated, StepName.PATCH)
    assert delivery.public_url == f"https://cdn/{delivery.key}.png"
    settle_published(scene.ledger, delivery, "204 No Content")
    row = scene.image(generated.image_id)
    assert (row.state, row.cms_receipt, row.output_key) == (State.PUBLISHED, "204 No Content", f"{delivery.key}.png")
    assert row.published_at is not None


def test_a_step_that_is_done_is_not_done_again(scene: Scene, generated: Ticket) -> None:
    """A message about a step that the image is beyond lets the chain go on."""
    scene.upload(generated)
    assert load(scene.ledger, generated, StepName.UPLOAD) is None
    settle_published(scene.ledger, scene.delivery(generated, StepName.PATCH), "204")
    assert load(scene.ledger, generated, StepName.UPLOAD) is None
    assert load(scene.ledger, generated, StepName.PATCH) is None


def test_a_step_does_not_begin_before_the_one_before_it(scene: Scene, generated: Ticket) -> None:
    """A patch without an upload, or an upload without a picture, is out of date."""
    (queued,) = scene.tickets([planned(7)])
    with pytest.raises(Superseded, match="is generated, patch_cms begins at uploaded"):
        load(scene.ledger, generated, StepName.PATCH)
    with pytest.raises(Superseded, match="begins at generated"):
        load(scene.ledger, queued, StepName.UPLOAD)
    with pytest.raises(Superseded, match="not in this ledger"):
        load(scene.ledger, Ticket(12345, 1), StepName.UPLOAD)


def test_an_older_message_delivers_nothing(scene: Scene, generated: Ticket) -> None:
    """A stale number is refused when it is read, and when it settles."""
    delivery = scene.delivery(generated, StepName.UPLOAD)
    redispatch(scene.ledger, [generated.image_id])
    with pytest.raises(Superseded, match="1 is older than 2"):
        load(scene.ledger, generated, StepName.UPLOAD)
    with pytest.raises(Superseded):
        settle_uploaded(scene.ledger, delivery, "key", "url")
    assert scene.image(generated.image_id).state == State.GENERATED


def test_twins_of_a_message_both_go_on(scene: Scene, generated: Ticket) -> None:
    """The same message worked on eight times moves the image once, and no twin fails its chain."""
    delivery = scene.delivery(generated, StepName.UPLOAD)
    assert race(8, lambda _n: settle_uploaded(scene.ledger, delivery, "key", "url")) == [None] * 8
    assert scene.image(generated.image_id).state == State.UPLOADED


def test_a_twin_that_fails_after_the_other_succeeded_changes_nothing(scene: Scene, generated: Ticket) -> None:
    """A late failure of a step that is done is forgotten."""
    delivery = scene.delivery(generated, StepName.UPLOAD)
    settle_uploaded(scene.ledger, delivery, "key", "url")
    settle_delivery_failure(scene.ledger, delivery, StepName.UPLOAD, Invalid("400"), Decision(end=State.FAILED))
    row = scene.image(generated.image_id)
    assert (row.state, row.error_class) == (State.UPLOADED, None)


def test_tries_are_counted_by_step(scene: Scene, generated: Ticket) -> None:
    """Two failed uploads are two tries; the patch begins to count anew, and a success clears the error."""
    for attempt in (1, 2):
        delivery = scene.delivery(generated, StepName.UPLOAD)
        assert delivery.attempt == attempt
        settle_delivery_failure(scene.ledger, delivery, StepName.UPLOAD, Overloaded("503"), SOON)
    row = scene.image(generated.image_id)
    assert (row.state, row.error_class, row.error_step) == (State.GENERATED, "overloaded", "upload_s3")
    scene.upload(generated)
    assert scene.delivery(generated, StepName.PATCH).attempt == 1
    assert scene.image(generated.image_id).error_class is None


def test_a_long_wait_is_kept_in_the_ledger(scene: Scene, generated: Ticket) -> None:
    """The image stays where it is and is found by the sweep when the wait is over, not before."""
    delivery = scene.delivery(generated, StepName.UPLOAD)
    wait = Decision(wait_seconds=3600.0)
    settle_delivery_failure(scene.ledger, delivery, StepName.UPLOAD, Overloaded("Retry-After: 3600"), wait)
    scene.age([generated.image_id])
    now = datetime.now(UTC)
    assert sweeping.unclaimed_before(scene.ledger, now) == []
    scene.set_image(generated.image_id, not_before=now - timedelta(seconds=1))
    assert sweeping.unclaimed_before(scene.ledger, now) == [generated]
    (again,) = redispatch(scene.ledger, [generated.image_id], lost_before=now)
    assert again.steps == (StepName.UPLOAD, StepName.PATCH)
    assert sweeping.unclaimed_before(scene.ledger, now - timedelta(minutes=1)) == []


@pytest.mark.parametrize("tried", [True, False])
def test_an_image_waits_for_its_destination(scene: Scene, generated: Ticket, tried: bool) -> None:
    """It stays where it is, its tries begin anew, and no sweep sends it until the destination is back."""
    scene.set_image(generated.image_id, delivery_attempts=3)
    delivery = scene.delivery(generated, StepName.UPLOAD)
    if tried:
        settle_delivery_failure(scene.ledger, delivery, StepName.UPLOAD, Overloaded("503"), PARKED)
    else:
        park(scene.ledger, delivery, StepName.UPLOAD)
    row = scene.image(generated.image_id)
    assert (row.state, row.delivery_attempts) == (State.GENERATED, 0)
    assert row.error_message == ("503" if tried else None)
    now = datetime.now(UTC)
    assert sweeping.unclaimed_before(scene.ledger, now, held=[State.GENERATED]) == []
    assert sweeping.unclaimed_before(scene.ledger, now, held=[State.UPLOADED]) == [generated]
    assert sweeping.next_probe(scene.ledger, State.UPLOADED) is None
    assert sweeping.next_probe(scene.ledger, State.GENERATED) == generated.image_id


def test_probes_take_turns(scene: Scene) -> None:
    """One picture that the destination never takes must not be the only one that asks whether it is back."""
    tickets = scene.tickets(3)
    for ticket in tickets:
        scene.generate(ticket)
        park(scene.ledger, scene.delivery(ticket, StepName.UPLOAD), StepName.UPLOAD)
    probed = []
    for _ in tickets:
        probe = sweeping.next_probe(scene.ledger, State.GENERATED)
        assert probe is not None
        (sent,) = redispatch(scene.ledger, [probe])
        assert sweeping.next_probe(scene.ledger, State.GENERATED) != probe, "its message is under way"
        park(scene.ledger, scene.delivery(sent.ticket, StepName.UPLOAD), StepName.UPLOAD)
        probed.append(probe)
    assert sorted(probed) == [ticket.image_id for ticket in tickets]


def test_batches_that_have_waited_too_long(scene: Scene) -> None:
    """Those of which a picture has waited for this destination, and since before then; younger ones go on waiting."""
    old, young, elsewhere = (scene.tickets([planned(n)])[0] for n in range(3))
    for ticket in (old, young, elsewhere):
        scene.generate(ticket)
    scene.upload(elsewhere)
    for ticket, step in ((old, StepName.UPLOAD), (young, StepName.UPLOAD), (elsewhere, StepName.PATCH)):
        park(scene.ledger, scene.delivery(ticket, step), step)
    now = datetime.now(UTC)
    for ticket in (old, elsewhere):
        scene.set_image(ticket.image_id, generated_at=now - timedelta(hours=13))
    found = sweeping.waiting_since(scene.ledger, State.GENERATED, now - timedelta(hours=12))
    assert found == [scene.image(old.image_id).batch_id]
    assert holding.hold_batch(scene.ledger, *found, Reason.FAILURES, "the bucket cannot be reached")
    assert not holding.hold_batch(scene.ledger, *found, Reason.FAILURES, "the bucket cannot be reached")
    row = scene.image(old.image_id)
    assert (row.state, row.error_class, row.error_message) == (State.HELD, "failures", "the bucket cannot be reached")
    assert scene.image(young.image_id).state == State.GENERATED
    assert scene.image(elsewhere.image_id).state == State.UPLOADED


@pytest.mark.parametrize(("error", "end"), [(Invalid("404"), State.FAILED), (Account("401"), State.HELD)])
def test_an_end_in_delivery(scene: Scene, generated: Ticket, error: Invalid | Account, end: State) -> None:
    """What cannot be delivered ends where the decision puts it, with the step's name; what was paid stays booked."""
    scene.upload(generated)
    delivery = scene.delivery(generated, StepName.PATCH)
    settle_delivery_failure(scene.ledger, delivery, StepName.PATCH, error, Decision(end=end))
    row = scene.image(generated.image_id)
    assert (row.state, row.error_class, row.error_step) == (end, error.error_class, "patch_cms")
    with pytest.raises(Superseded):
        settle_published(scene.ledger, delivery, "204")


def test_a_picture_waits_to_be_looked_at_where_that_is_wished(scene: Scene) -> None:
    """It is public and held, no message patches it, and its batch rests."""
    (ticket,) = scene.tickets(hold_publish=True)
    scene.generate(ticket)
    scene.upload(ticket)
    row = scene.image(ticket.image_id)
    assert (row.state, row.error_class, row.error_step) == (State.HELD, Reason.PUBLISH, StepName.PATCH)
    assert row.public_url == f"https://cdn/{row.key}.png"
    for step in (StepName.UPLOAD, StepName.PATCH):
        with pytest.raises(Superseded, match="is held"):
            load(scene.ledger, ticket, step)
    assert summing.is_resting(scene.ledger, row.batch_id)


def test_the_wish_to_look_may_come_later(scene: Scene) -> None:
    """It counts for what is uploaded from then on."""
    first, second = scene.tickets(2)
    for ticket in (first, second):
        scene.generate(ticket)
    scene.upload(first)
    submitting.hold_publish(scene.ledger, scene.image(first.image_id).batch_id)
    scene.upload(second)
    assert [scene.image(ticket.image_id).state for ticket in (first, second)] == [State.UPLOADED, State.HELD]


def test_starts_are_counted_once_a_message_was_lost(scene: Scene, generated: Ticket) -> None:
    """Nothing is counted of an image that was never lost; of others each start, until the step ends somehow."""
    assert scene.delivery(generated, StepName.UPLOAD).starts is None
    ticket = generated
    for starts in range(3):
        (sent,) = redispatch(scene.ledger, [ticket.image_id])
        ticket = sent.ticket
        delivery = scene.delivery(ticket, StepName.UPLOAD)
        assert delivery.starts == starts
        count_start(scene.ledger, delivery, StepName.UPLOAD)
    settle_delivery_failure(scene.ledger, delivery, StepName.UPLOAD, Overloaded("503"), SOON)
    assert scene.delivery(ticket, StepName.UPLOAD).starts is None


def test_the_end_of_a_step_ends_the_count(scene: Scene, generated: Ticket) -> None:
    """A picture that was uploaded after all starts its patch without a past."""
    (sent,) = redispatch(scene.ledger, [generated.image_id])
    delivery = scene.delivery(sent.ticket, StepName.UPLOAD)
    count_start(scene.ledger, delivery, StepName.UPLOAD)
    scene.upload(sent.ticket)
    assert scene.delivery(sent.ticket, StepName.PATCH).starts is None


def test_a_wait_in_the_ledger_is_no_loss(scene: Scene, generated: Ticket) -> None:
    """What is sent again after its wait is not counted: it has had no message that could be lost."""
    delivery = scene.delivery(generated, StepName.UPLOAD)
    settle_delivery_failure(scene.ledger, delivery, StepName.UPLOAD, Overloaded("503"), Decision(wait_seconds=100.0))
    scene.set_image(generated.image_id, not_before=datetime.now(UTC) - timedelta(seconds=1))
    (sent,) = redispatch(scene.ledger, [generated.image_id])
    assert scene.delivery(sent.ticket, StepName.UPLOAD).starts is None


def test_an_older_message_counts_no_start(scene: Scene, generated: Ticket) -> None:
    """A start of a message that is out of date is refused, and not counted."""
    (sent,) = redispatch(scene.ledger, [generated.image_id])
    delivery = scene.delivery(sent.ticket, StepName.UPLOAD)
    redispatch(scene.ledger, [generated.image_id])
    with pytest.raises(Superseded):
        count_start(scene.ledger, delivery, StepName.UPLOAD)
    assert scene.image(generated.image_id).delivery_starts == 0


def test_whether_a_staging_is_still_needed(scene: Scene, generated: Ticket) -> None:
    """For as long as a bought picture is not uploaded; not for what is still to be bought."""
    scene.submit([planned(8)])
    assert needs_staging(scene.ledger)
    scene.upload(generated)
    assert not needs_staging(scene.ledger)
