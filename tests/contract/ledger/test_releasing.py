"""Which images get a message, how many at a time, and what makes an older message stale."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.dispatch import Dispatch, StepName, Ticket
from tasks.core.errors import Overloaded, Superseded
from tasks.core.retry import Decision
from tasks.core.states import State
from tasks.core.waves import Bounds
from tasks.ledger import claiming, sweeping
from tasks.ledger.dispatching import give_back, redispatch
from tasks.ledger.releasing import is_low
from tests.contract.ledger.scene import AGES_AGO, MODEL, OTHER_MODEL, Scene, planned, race

ALL_STEPS = (StepName.GENERATE, StepName.UPLOAD, StepName.PATCH)


def test_a_release_fills_the_window(scene: Scene) -> None:
    """As many images as fit the window are queued, oldest first, each with its first dispatch number."""
    batch_id = scene.submit(5)
    sent = scene.release(batch_id, window=3)
    assert [scene.image(d.ticket.image_id).key for d in sent] == [planned(n).key for n in range(3)]
    assert {(d.batch_id, d.model, d.steps, d.ticket.dispatch_no) for d in sent} == {(batch_id, MODEL, ALL_STEPS, 1)}
    assert scene.counts(batch_id) == {State.QUEUED: 3, State.PLANNED: 2}
    assert scene.release(batch_id, window=3) == []
    assert len(scene.release(batch_id, window=4)) == 1


def test_a_release_is_of_one_model(scene: Scene) -> None:
    """Another model's images stay planned for their own queue."""
    batch_id = scene.submit([planned(0), planned(1, model=OTHER_MODEL)])
    assert len(scene.release(batch_id)) == 1
    assert [d.model for d in scene.release(batch_id, model=OTHER_MODEL)] == [OTHER_MODEL]


def test_a_picture_bought_before_is_not_bought_again(scene: Scene) -> None:
    """Its image skips the paid step and is marked as a reuse, with the remaining steps to do."""
    scene.generate(scene.tickets(1)[0])
    batch_id = scene.submit(2)
    first, second = scene.release(batch_id)
    assert (first.steps, second.steps) == (ALL_STEPS[1:], ALL_STEPS)
    assert scene.image(first.ticket.image_id).state == State.GENERATED
    assert scene.image(first.ticket.image_id).reused
    assert not scene.image(second.ticket.image_id).reused


def test_an_image_that_waits_is_not_released(scene: Scene) -> None:
    """``not_before`` is honoured, and forgotten once it is over."""
    batch_id = scene.submit(2)
    first, second = (d.ticket for d in scene.release(batch_id))
    now = datetime.now(UTC)
    assert give_back(scene.ledger, first, not_before=now + timedelta(hours=1))
    assert give_back(scene.ledger, second, not_before=now - timedelta(seconds=1))
    again = scene.release(batch_id)
    assert [d.ticket for d in again] == [Ticket(second.image_id, 2)]
    assert scene.image(second.image_id).not_before is None


@pytest.mark.parametrize("phase", ["planning", "cancelled"])
def test_only_a_started_batch_is_released(scene: Scene, phase: str) -> None:
    """A batch that is being planned, or was cancelled, sends nothing."""
    batch_id = scene.submit(1)
    scene.set_batch(batch_id, phase=phase)
    assert scene.release(batch_id) == []


def test_releasers_never_exceed_the_window_nor_send_twice(scene: Scene) -> None:
    """Eight releasers at the same moment send each image once and no more than the window."""
    batch_id = scene.submit(60)
    waves = race(8, lambda _n: scene.release(batch_id, window=40))
    sent = [d.ticket.image_id for wave in waves if isinstance(wave, list) for d in wave]
    assert len(sent) == 40
    assert len(set(sent)) == 40
    assert scene.counts(batch_id) == {State.QUEUED: 40, State.PLANNED: 20}


def low(scene: Scene, window: int, undelivered: int = 10_000) -> bool:
    """Whether a wave of the model is worth releasing."""
    return is_low(scene.ledger, MODEL, Bounds(window, undelivered))


def test_the_low_watermark(scene: Scene) -> None:
    """Low is when planned images are due and half the window is free."""
    batch_id = scene.submit(7)
    assert low(scene, 4)
    tickets = [d.ticket for d in scene.release(batch_id, window=4)]
    assert not low(scene, 4)
    assert not low(scene, 7)
    assert low(scene, 8)
    scene.claim(tickets[0])
    assert not low(scene, 4)
    scene.claim(tickets[1])
    assert low(scene, 4), "what is being bought is not in the queue"
    scene.release(batch_id)
    assert not low(scene, 500), "nothing is left to release"
    give_back(scene.ledger, tickets[3], not_before=datetime.now(UTC) + timedelta(hours=1))
    assert not low(scene, 500), "what is left is not due"


def test_two_batches_share_the_room(scene: Scene) -> None:
    """A batch that comes to a queue that another fills gets the room that falls free until both hold as much."""
    first = scene.submit(100)
    sent = scene.release(first, window=20)
    second = scene.submit(10)
    (early,) = scene.release_model(window=20)
    assert early.batch_id == second, "who has nothing in the queue need not wait for room"
    for dispatch in sent[:12]:
        scene.claim(dispatch.ticket)
    then = [d.batch_id for d in scene.release_model(window=20)]
    assert Counter(then) == {second: 9, first: 2}
    assert then[:7] == [second] * 7
    assert first in then[7:-1], "equal shares are interleaved"


def test_priorities_shift_the_shares(scene: Scene) -> None:
    """low, normal and high hold 1, 4 and 16 parts of the queue."""
    batches = {priority: scene.submit(100) for priority in ("low", "normal", "high")}
    for priority, batch_id in batches.items():
        scene.set_batch(batch_id, priority=priority)
    sent = Counter(d.batch_id for d in scene.release_model(window=42))
    assert sent == {batches["low"]: 2, batches["normal"]: 8, batches["high"]: 32}


def test_releasers_of_two_batches_do_not_overfill_one_window(scene: Scene) -> None:
    """Eight releasers of a model at the same moment fill one window, not one for each batch."""
    for _ in range(3):
        scene.submit(60)
    waves = race(8, lambda _n: scene.release_model(window=42))
    sent = [d.ticket.image_id for wave in waves if isinstance(wave, list) for d in wave]
    assert len(sent) == len(set(sent)) == 42


def retry_later(scene: Scene, dispatches: list[Dispatch]) -> None:
    """Their calls fail, and their messages will come again in half a minute."""
    for dispatch in dispatches:
        scene.fail(scene.claim(dispatch.ticket), Overloaded("busy"), Decision(wait_seconds=30.0))


def test_images_that_wait_for_their_next_try_leave_the_window_to_others(scene: Scene) -> None:
    """They take no room in the queue until then, and with them no more than four windows are queued."""
    batch_id = scene.submit(100)
    for _ in range(4):
        retry_later(scene, scene.release(batch_id, window=10))
    assert scene.counts(batch_id) == {State.QUEUED: 40, State.PLANNED: 60}
    assert not low(scene, 10)
    assert scene.release(batch_id, window=10) == []
    scene.set_image(1, not_before=datetime.now(UTC) - timedelta(seconds=1))
    assert scene.release(batch_id, window=11)[0].ticket == Ticket(41, 1)


def test_a_try_that_is_due_is_claimed_and_its_wait_forgotten(scene: Scene) -> None:
    """The wait of a call is not taken for the wait of the delivery that follows it."""
    (dispatch,) = scene.release(scene.submit(1))
    retry_later(scene, [dispatch])
    assert scene.image(1).not_before > datetime.now(UTC)
    assert sweeping.unclaimed_before(scene.ledger, datetime.now(UTC)) == [], "its message comes again by itself"
    scene.generate(dispatch.ticket)
    assert scene.image(1).not_before is None


def test_a_message_that_is_lost_during_the_wait_is_found_after_it(scene: Scene) -> None:
    """Silence counts from the failed call, and is not noticed before the wait is over."""
    (dispatch,) = scene.release(scene.submit(1))
    retry_later(scene, [dispatch])
    scene.set_image(1, not_before=datetime.now(UTC) - timedelta(seconds=1))
    assert sweeping.unclaimed_before(scene.ledger, AGES_AGO) == []
    assert sweeping.unclaimed_before(scene.ledger, datetime.now(UTC)) == [dispatch.ticket]


def test_nothing_is_bought_while_too_much_is_undelivered(scene: Scene) -> None:
    """Pictures of any model and batch that are paid for and not in the CMS stop the releases until they are."""
    other = [
        d.ticket
        for d in scene.release(
            scene.submit([planned(n, model=OTHER_MODEL) for n in range(900, 904)]), model=OTHER_MODEL
        )
    ]
    for ticket in other:
        scene.generate(ticket)
    scene.upload(other[0])
    scene.submit(10)
    assert scene.release_model(window=4, undelivered=4) == []
    assert not low(scene, 4, undelivered=4)
    scene.publish_uploaded(other[0])
    assert len(scene.release_model(window=4, undelivered=4)) == 1
    assert not low(scene, 4, undelivered=4), "not worth a wave"
    for ticket in other[1:3]:
        scene.upload(ticket)
        scene.publish_uploaded(ticket)
    assert low(scene, 4, undelivered=4)


def test_pictures_that_are_there_already_are_bounded_too(scene: Scene) -> None:
    """They need no call, but their deliveries fill the broker as others do."""
    for ticket in scene.tickets(5):
        scene.publish(ticket)
    scene.submit(5)
    assert len(scene.release_model(window=10, undelivered=3)) == 3
    assert scene.release_model(window=10, undelivered=3) == []


def test_a_closed_model_releases_nothing(scene: Scene) -> None:
    """A window of nothing is kept, also for a batch that has nothing in the queue."""
    scene.submit(3)
    assert scene.release_model(window=0) == []
    assert not low(scene, 0)


def test_sending_again_makes_the_older_message_stale(scene: Scene) -> None:
    """The new number is claimed, the old one is superseded."""
    (old,) = scene.tickets()
    (new,) = redispatch(scene.ledger, [old.image_id])
    assert new.ticket == Ticket(old.image_id, 2)
    with pytest.raises(Superseded, match="1 is older than 2"):
        claiming.claim(scene.ledger, old, scene.worker)
    assert scene.claim(new.ticket).dispatch_no == 2


def test_only_the_remaining_steps_are_sent_again(scene: Scene) -> None:
    """What has been paid for is not bought again, what is uploaded is not uploaded again."""
    queued, generated, uploaded, published = scene.tickets(4)
    scene.generate(generated)
    scene.generate(uploaded)
    scene.upload(uploaded)
    scene.publish(published)
    again = redispatch(scene.ledger, [t.image_id for t in (queued, generated, uploaded, published)])
    assert [d.steps for d in again] == [ALL_STEPS, ALL_STEPS[1:], ALL_STEPS[2:]]


def test_nothing_to_send_again(scene: Scene) -> None:
    """An image that is planned, or being bought, has no message that could be lost."""
    claimed, planned_one = scene.tickets(2)
    scene.claim(claimed)
    give_back(scene.ledger, planned_one)
    assert redispatch(scene.ledger, [claimed.image_id, planned_one.image_id]) == []
    assert redispatch(scene.ledger, []) == []


def test_of_sweeps_that_found_the_same_one_sends(scene: Scene) -> None:
    """Eight sweeps that saw the same lost images send each of them once."""
    tickets = scene.tickets(20)
    ids = [ticket.image_id for ticket in tickets]
    scene.age(ids)
    before = datetime.now(UTC) - timedelta(minutes=1)
    found = sweeping.unclaimed_before(scene.ledger, before)
    assert found == tickets
    waves = race(8, lambda _n: redispatch(scene.ledger, ids, lost_before=before))
    sent = [d.ticket.image_id for wave in waves if isinstance(wave, list) for d in wave]
    assert sorted(sent) == ids
    assert {scene.image(id_).dispatch_no for id_ in ids} == {2}


def test_what_moved_on_since_it_was_found_is_not_sent_again(scene: Scene) -> None:
    """A sweep that is slow does not disturb an image that was taken meanwhile."""
    (ticket,) = scene.tickets()
    scene.age([ticket.image_id])
    scene.generate(ticket)
    assert redispatch(scene.ledger, [ticket.image_id], lost_before=AGES_AGO + timedelta(days=1)) == []


def test_giving_back_is_for_the_current_message_alone(scene: Scene) -> None:
    """A stale message, or one whose image has been claimed, gives nothing back."""
    stale, claimed = scene.tickets(2)
    redispatch(scene.ledger, [stale.image_id])
    scene.claim(claimed)
    assert not give_back(scene.ledger, stale)
    assert not give_back(scene.ledger, claimed)
    current = Ticket(stale.image_id, 2)
    assert give_back(scene.ledger, current)
    assert not give_back(scene.ledger, current), "it is given back already"
    with pytest.raises(Superseded, match="is planned"):
        claiming.claim(scene.ledger, current, scene.worker)


def test_a_release_and_claims_do_not_wait_for_each_other_in_a_circle(scene: Scene) -> None:
    """Releases, claims and sendings of one batch at the same moment all come through."""
    batch_id = scene.submit(80)
    first = [d.ticket for d in scene.release(batch_id, window=40)]

    def act(number: int) -> int:
        for ticket in first[number::8]:
            scene.claim(ticket)
            scene.release(batch_id, window=40)
            redispatch(scene.ledger, [t.image_id for t in first])
        return number

    outcomes = race(8, act)
    assert [o for o in outcomes if not isinstance(o, (int, Superseded))] == []
    assert sum(scene.counts(batch_id).values()) == 80
