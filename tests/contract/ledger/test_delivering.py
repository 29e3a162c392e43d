"""Upload and patch: free, repeatable, and out of date when the image was sent again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import Account, Invalid, Overloaded, Superseded
from tasks.core.retry import Decision
from tasks.core.states import State
from tasks.ledger import sweeping
from tasks.ledger.delivering import load, settle_delivery_failure, settle_published, settle_uploaded
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
