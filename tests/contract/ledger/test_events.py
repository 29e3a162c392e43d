"""What a batch's webhook is to be told is written down with the move itself, and told until it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Row, select, update
from sqlalchemy.exc import DBAPIError

from tasks.core.errors import Refused
from tasks.core.events import Event
from tasks.core.retry import Decision
from tasks.core.selection import Selection
from tasks.core.states import State
from tasks.ledger import events, holding, leases, retrying, submitting
from tasks.ledger.events import Failed, Sending
from tasks.ledger.schema import event, image, webhook
from tasks.ledger.summing import claim_message, mark_sent
from tests.contract.ledger.scene import MODEL, Scene, new_batch, race

URL = "https://shop.example.com/webhooks/images"
DAY = 24.0


def of_images(scene: Scene, image_id: int | None = None) -> list[str]:
    """The types of the events of one image or all, as they happened."""
    mine = event.c.image_id.is_not(None) if image_id is None else event.c.image_id == image_id
    return [row.type for row in rows(scene, mine)]


def rows(scene: Scene, *which: Any) -> Sequence[Row[Any]]:
    """Rows of the outbox."""
    with scene.ledger.read() as connection:
        return connection.execute(select(event).where(*which).order_by(event.c.id)).all()


def claimed(scene: Scene, batch_id: str) -> Sending:
    """The right to send, which is to be had."""
    sending = events.claim_sending(scene.ledger, batch_id, scene.worker)
    assert sending is not None
    return sending


def page(scene: Scene, sending: Sending, limit: int = 100) -> list[Event]:
    """What is to be told next."""
    return events.page(scene.ledger, sending, 0, limit)


def test_each_state_that_a_receiver_cares_about_is_an_event(scene: Scene) -> None:
    """Of one image, in order, with what was so then; where it is in our queues is nobody's business."""
    batch_id = scene.submit(1, webhook=URL)
    (dispatch,) = scene.release(batch_id)
    scene.publish(dispatch.ticket)
    found = rows(scene, event.c.image_id == dispatch.ticket.image_id)
    assert [row.type for row in found] == ["image.generated", "image.uploaded", "image.published"]
    assert {row.batch_id for row in found} == {batch_id}
    assert [row.details["public_url"] for row in found] == [None, *["https://cdn/SKU-00000.png"] * 2]
    assert found[0].details["cost_usd_micros"] == 5_000
    assert found[0].details["model"] == MODEL
    with scene.ledger.read() as connection:
        now = scene.ledger.clock(connection)
    assert all(timedelta() <= now - row.happened_at < timedelta(minutes=1) for row in found)


@pytest.mark.parametrize("state", list(State))
def test_states_that_are_told(scene: Scene, state: State) -> None:
    """Ends, waits and what is there to be looked at; not what moves only our own messages."""
    batch_id = scene.submit(1, webhook=URL)
    image_id = scene.release(batch_id)[0].ticket.image_id
    scene.set_image(image_id, state=state, error_class="refused", error_step="generate", error_message="no")
    inner = {State.PLANNED, State.QUEUED, State.GENERATING}
    assert of_images(scene) == ([] if state in inner else [f"image.{state}"])


def test_a_batch_without_a_webhook_writes_nothing(scene: Scene) -> None:
    """Not for its images, nor for itself."""
    batch_id = scene.submit(1)
    scene.publish(scene.release(batch_id)[0].ticket)
    assert claim_message(scene.ledger, batch_id, "end", scene.worker)
    assert rows(scene) == []
    assert not events.has_webhook(scene.ledger, batch_id)
    assert events.standing(scene.ledger, batch_id) is None


def test_a_row_that_keeps_its_state_is_no_event(scene: Scene) -> None:
    """Retries and waits write the row again, and the state with it."""
    batch_id = scene.submit(1, webhook=URL)
    image_id = scene.release(batch_id)[0].ticket.image_id
    scene.set_image(image_id, state=State.HELD)
    scene.set_image(image_id, state=State.HELD, error_message="still")
    scene.set_image(image_id, error_message="and still")
    assert of_images(scene) == ["image.held"]


def test_thousands_that_move_at_once_are_events_each(scene: Scene) -> None:
    """A pause is one statement; every image's event comes with it, and back in order when they end again."""
    batch_id = scene.submit(50, webhook=URL)
    holding.pause(scene.ledger, batch_id)
    assert of_images(scene) == ["image.held"] * 50
    holding.resume(scene.ledger, batch_id)
    holding.cancel(scene.ledger, batch_id)
    assert of_images(scene)[50:] == ["image.cancelled"] * 50


def test_a_move_that_is_undone_is_no_event(scene: Scene) -> None:
    """Both are in one transaction."""
    batch_id = scene.submit(1, webhook=URL)

    def move_and_fail() -> None:
        with scene.ledger.write() as connection:
            connection.execute(update(image).values(state=State.FAILED))
            connection.exec_driver_sql("no SQL")

    with pytest.raises(DBAPIError):
        move_and_fail()
    assert rows(scene) == []
    assert scene.counts(batch_id) == {State.PLANNED: 1}


def test_what_went_wrong_is_told_as_it_was_then(scene: Scene) -> None:
    """A retry wipes the image's error, not the event's."""
    batch_id = scene.submit(1, webhook=URL)
    claim = scene.claim(scene.release(batch_id)[0].ticket)
    scene.fail(claim, Refused("not this prompt"), Decision(end=State.REFUSED))
    retrying.retry(scene.ledger, batch_id, Selection())
    (told,) = page(scene, claimed(scene, batch_id))
    assert (told.type, told.key, told.variant) == ("image.refused", "SKU-00000", 1)
    assert told.details["error_class"] == "refused"
    assert told.details["error_step"] == "generate"
    assert told.details["error_message"] == "not this prompt"


def test_a_batch_tells_once_a_round_that_it_starts_and_rests(scene: Scene) -> None:
    """Also when the claim of its message is lost with its worker, and taken again."""
    batch_id = scene.submit(1, webhook=URL)
    for _ in range(2):
        said = claim_message(scene.ledger, batch_id, "start", scene.worker)
        assert said is not None
        with scene.ledger.write() as connection:
            connection.exec_driver_sql("DELETE FROM imagechord_summary")
    claim_message(scene.ledger, batch_id, "held", scene.worker)
    scene.publish(scene.release(batch_id)[0].ticket)
    said = claim_message(scene.ledger, batch_id, "end", scene.worker)
    assert said is not None
    mark_sent(scene.ledger, said, {}, None)
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is None
    scene.set_batch(batch_id, round=2)
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is not None
    found = rows(scene, event.c.image_id.is_(None))
    assert [(row.type, row.details["round"]) for row in found] == [
        ("batch.started", 1),
        ("batch.finished", 1),
        ("batch.finished", 2),
    ]
    assert found[1].details["counts"] == {"published": 1}
    assert rows(scene)[-2].type == "batch.finished"  # after everything that has happened in its round


def test_events_are_told_in_order_until_they_are_taken(scene: Scene) -> None:
    """What was told is not told again; the rest is."""
    batch_id = scene.submit(3, webhook=URL)
    holding.pause(scene.ledger, batch_id)
    assert events.due(scene.ledger) == [batch_id]
    sending = claimed(scene, batch_id)
    first, second, third = page(scene, sending)
    assert [each.key for each in (first, second, third)] == ["SKU-00000", "SKU-00001", "SKU-00002"]
    assert events.settle(scene.ledger, sending, [first.id], [], DAY) == sending
    assert page(scene, sending) == [second, third]
    assert events.page(scene.ledger, sending, second.id, 100) == [third]
    assert page(scene, sending, limit=1) == [second]
    events.settle(scene.ledger, sending, [second.id, third.id], [], DAY)
    events.release_sending(scene.ledger, sending)
    assert events.due(scene.ledger) == []
    standing = events.standing(scene.ledger, batch_id)
    assert standing is not None
    assert (standing.untold, standing.error, standing.gave_up) == (0, None, False)


def test_one_sender_at_a_time(scene: Scene) -> None:
    """Of sixteen that ask at the same moment one may; the next when it is done."""
    batch_id = scene.submit(1, webhook=URL)
    holding.pause(scene.ledger, batch_id)
    found = race(16, lambda _n: events.claim_sending(scene.ledger, batch_id, scene.worker))
    (sending,) = [each for each in found if isinstance(each, Sending)]
    assert events.due(scene.ledger) == []
    events.release_sending(scene.ledger, sending)
    assert events.due(scene.ledger) == [batch_id]
    assert claimed(scene, batch_id) == sending


def test_a_sender_that_dies_or_falls_silent_stalls_nothing(scene: Scene) -> None:
    """Another may send when its worker is known to be dead, and in any case when its lease has run out."""
    batch_id = scene.submit(1, webhook=URL)
    holding.pause(scene.ledger, batch_id)
    other = leases.register_worker(scene.ledger, "there", [])
    claimed(scene, batch_id)
    assert events.claim_sending(scene.ledger, batch_id, other) is None
    scene.silence(scene.worker)
    scene.steady(other)
    leases.reap(scene.ledger, timedelta(seconds=15))
    assert events.claim_sending(scene.ledger, batch_id, other) is not None
    assert events.due(scene.ledger, batch_id) == []
    scene._set(webhook, webhook.c.batch_id == batch_id, leased_until=events_clock(scene))
    assert events.due(scene.ledger, batch_id) == [batch_id]


def events_clock(scene: Scene) -> Any:
    """The ledger's time."""
    with scene.ledger.read() as connection:
        return scene.ledger.clock(connection)


def wait_over(scene: Scene, batch_id: str) -> None:
    """Let every wait of a batch's telling be over."""
    now = events_clock(scene)
    scene._set(webhook, webhook.c.batch_id == batch_id, not_before=now, leased_until=None)
    scene._set(event, event.c.batch_id == batch_id, not_before=now)


def test_a_webhook_that_takes_nothing_is_left_alone_for_longer_and_longer(scene: Scene) -> None:
    """Its events wait with it; the first that is taken ends that."""
    batch_id = scene.submit(2, webhook=URL)
    holding.pause(scene.ledger, batch_id)
    for failures in range(3):
        sending = claimed(scene, batch_id)
        assert sending.failures == failures
        failed = Failed(page(scene, sending)[0], "it answered 503")
        assert events.settle(scene.ledger, sending, [], [failed], DAY) is None
        events.release_sending(scene.ledger, sending)
        assert events.due(scene.ledger) == []
        wait_over(scene, batch_id)
    standing = events.standing(scene.ledger, batch_id)
    assert standing is not None
    assert (standing.untold, standing.error, standing.gave_up) == (2, "it answered 503", False)
    sending = claimed(scene, batch_id)
    goes_on = events.settle(scene.ledger, sending, [page(scene, sending)[0].id], [], DAY)
    assert goes_on is not None
    assert goes_on.failures == 0
    assert events.standing(scene.ledger, batch_id) is not None


def test_an_event_that_a_living_webhook_does_not_take_waits_alone(scene: Scene) -> None:
    """The others are told meanwhile."""
    batch_id = scene.submit(3, webhook=URL)
    holding.pause(scene.ledger, batch_id)
    sending = claimed(scene, batch_id)
    first, second, third = page(scene, sending)
    goes_on = events.settle(scene.ledger, sending, [first.id], [Failed(second, "it answered 500")], DAY)
    assert goes_on == sending
    assert page(scene, sending) == [third]
    wait_over(scene, batch_id)
    assert [each.id for each in page(scene, sending)] == [second.id, third.id]


@pytest.mark.parametrize("gone", [True, False])
def test_a_webhook_that_is_given_up_is_told_nothing_more(scene: Scene, gone: bool) -> None:
    """At once when it says so, or when it has taken nothing for too long; a new URL is told all that is left."""
    batch_id = scene.submit(2, webhook=URL)
    holding.pause(scene.ledger, batch_id)
    sending = claimed(scene, batch_id)
    failed = Failed(page(scene, sending)[0], "it answered 410", gone=gone)
    assert events.settle(scene.ledger, sending, [], [failed], DAY if gone else 0.0001) is None
    wait_over(scene, batch_id)
    assert events.due(scene.ledger) == []
    assert events.claim_sending(scene.ledger, batch_id, scene.worker) is None
    standing = events.standing(scene.ledger, batch_id)
    assert standing is not None
    assert standing.gave_up
    events.redirect(scene.ledger, batch_id, "https://shop.example.com/other")
    assert claimed(scene, batch_id).url == "https://shop.example.com/other"


def test_an_event_that_is_never_taken_is_given_up_alone(scene: Scene) -> None:
    """When its own waits have added up to too long."""
    batch_id = scene.submit(2, webhook=URL)
    holding.pause(scene.ledger, batch_id)
    sending = claimed(scene, batch_id)
    first, second = page(scene, sending)
    events.settle(scene.ledger, sending, [second.id], [Failed(first, "it answered 500")], 0.0001)
    wait_over(scene, batch_id)
    assert events.due(scene.ledger) == []
    assert rows(scene, event.c.id == first.id)[0].gave_up_at is not None
    standing = events.standing(scene.ledger, batch_id)
    assert standing is not None
    assert (standing.untold, standing.gave_up) == (0, False)


def test_a_batch_may_be_given_a_webhook_later(scene: Scene) -> None:
    """From then on its images are told."""
    batch_id = scene.submit(2)
    first, second = scene.release(batch_id)
    scene.publish(first.ticket)
    events.redirect(scene.ledger, batch_id, URL)
    scene.publish(second.ticket)
    assert {row.image_id for row in rows(scene)} == {second.ticket.image_id}
    assert len(rows(scene)) == 3


def test_a_batch_that_is_taken_back_takes_its_webhook_along(scene: Scene) -> None:
    """Nothing is left that could be told."""
    submitting.create_batch(scene.ledger, new_batch("b", webhook=URL))
    assert events.has_webhook(scene.ledger, "b")
    submitting.discard(scene.ledger, "b")
    assert not events.has_webhook(scene.ledger, "b")


def test_nothing_to_tell_is_nothing_to_do(scene: Scene) -> None:
    """And where nothing was tried, nothing is known of the webhook: it is not alive again."""
    batch_id = scene.submit(1, webhook=URL)
    assert events.due(scene.ledger, batch_id) == []
    sending = claimed(scene, batch_id)
    assert page(scene, sending) == []
    holding.pause(scene.ledger, batch_id)
    events.settle(scene.ledger, sending, [], [Failed(page(scene, sending)[0], "it answered 503")], DAY)
    wait_over(scene, batch_id)
    sending = claimed(scene, batch_id)
    assert events.settle(scene.ledger, sending, [], [], DAY) == sending
    standing = events.standing(scene.ledger, batch_id)
    assert standing is not None
    assert standing.error == "it answered 503"
