"""Which images get a message, how many at a time, and what makes an older message stale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import Superseded
from tasks.core.states import State
from tasks.ledger import claiming, sweeping
from tasks.ledger.dispatching import give_back, is_low, redispatch
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


def test_the_low_watermark(scene: Scene) -> None:
    """Low is when planned images are due and at most ``mark`` are queued."""
    batch_id = scene.submit(3)
    assert is_low(scene.ledger, batch_id, MODEL, 0)
    tickets = [d.ticket for d in scene.release(batch_id, window=2)]
    assert not is_low(scene.ledger, batch_id, MODEL, 1)
    assert is_low(scene.ledger, batch_id, MODEL, 2)
    scene.release(batch_id)
    assert not is_low(scene.ledger, batch_id, MODEL, 500), "nothing is left to release"
    give_back(scene.ledger, tickets[0], not_before=datetime.now(UTC) + timedelta(hours=1))
    assert not is_low(scene.ledger, batch_id, MODEL, 500), "what is left is not due"


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
    ids = [ticket.image_id for ticket in scene.tickets(20)]
    scene.age(ids)
    before = datetime.now(UTC) - timedelta(minutes=1)
    found = sweeping.unclaimed_before(scene.ledger, before)
    assert found == ids
    waves = race(8, lambda _n: redispatch(scene.ledger, found, lost_before=before))
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
