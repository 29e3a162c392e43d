"""Pause, cancel, resume and publish; what is held goes on later, and is never bought twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.core.day_budget import DayBudget
from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import Account, Ambiguous, Invalid, Overloaded, StepError, Superseded
from tasks.core.holds import WHOLE, Reason
from tasks.core.retry import BreakerRules, Decision, after_failing_alike
from tasks.core.states import State
from tasks.ledger import delivering, holding, leases, settling, sweeping
from tasks.ledger.claiming import NoClaim, Stopped, claim, claim_of
from tasks.ledger.dispatching import redispatch
from tasks.ledger.rows import Claim
from tasks.ledger.summing import claim_message, is_resting
from tests.contract.ledger.scene import MODEL, OTHER_MODEL, PRICE, Scene, planned

WEEK = timedelta(days=7)


def hold(scene: Scene, batch_id: str, model: str, reason: Reason, until: datetime | None = None) -> bool:
    """Only the hold: its images have not followed."""
    with scene.ledger.write() as connection:
        return holding.put_on_hold(connection, batch_id, model, reason, "a reason", until)


def batch_of(scene: Scene, ticket: Ticket) -> str:
    """The image's batch."""
    return str(scene.image(ticket.image_id).batch_id)


def tickets_of(scene: Scene, *numbers: int) -> list[Ticket]:
    """Queued images of a new batch of these rows: none has another's picture."""
    return [dispatch.ticket for dispatch in scene.release(scene.submit([planned(number) for number in numbers]))]


def today(limit: int) -> DayBudget:
    """A model's budget for a day that goes on."""
    now = datetime.now(UTC)
    return DayBudget("2026-11-22", limit, now - timedelta(hours=1), now + timedelta(hours=1))


def test_a_pause_holds_what_is_not_in_flight(scene: Scene) -> None:
    """Planned and queued images wait; a call in flight settles, and its picture waits before it is uploaded."""
    batch_id = scene.submit(5)
    first, second = (dispatch.ticket for dispatch in scene.release(batch_id, window=2))
    in_flight = scene.claim(first)
    holding.pause(scene.ledger, batch_id)
    assert scene.counts(batch_id) == {State.GENERATING: 1, State.HELD: 4}
    assert {scene.image(second.image_id).error_class} == {Reason.PAUSED}
    scene.settle(in_flight)
    delivery = scene.delivery(first, StepName.UPLOAD)
    assert delivery.stopped_by == Reason.PAUSED
    holding.stop_delivery(scene.ledger, delivery, StepName.UPLOAD)
    assert scene.counts(batch_id) == {State.HELD: 5}
    assert is_resting(scene.ledger, batch_id)


def test_nothing_is_claimed_from_the_moment_of_the_hold(scene: Scene) -> None:
    """Before the images have followed, a message that comes finds its image held."""
    ticket, other = scene.tickets(2)
    hold(scene, batch_of(scene, ticket), WHOLE, Reason.PAUSED)
    stopped = claim(scene.ledger, ticket, scene.worker)
    assert isinstance(stopped, Stopped)
    assert stopped.message == "a reason"
    assert scene.image(ticket.image_id).state == State.HELD
    assert scene.image(other.image_id).state == State.QUEUED
    assert holding.apply_holds(scene.ledger) == [batch_of(scene, ticket)]
    assert scene.image(other.image_id).state == State.HELD
    assert holding.apply_holds(scene.ledger) == []


def test_after_a_pause_nothing_is_bought_twice(scene: Scene) -> None:
    """Resumed images go on in the next round: what was paid for is delivered, the rest is bought."""
    batch_id = scene.submit(2)
    paid, unpaid = (dispatch.ticket for dispatch in scene.release(batch_id))
    scene.generate(paid)
    holding.pause(scene.ledger, batch_id)
    holding.stop_delivery(scene.ledger, scene.delivery(paid, StepName.UPLOAD), StepName.UPLOAD)
    assert holding.resume(scene.ledger, batch_id) == 2
    assert scene.batch(batch_id).round == 2
    assert holding.holds(scene.ledger, batch_id) == []
    sent = {dispatch.ticket.image_id: dispatch for dispatch in scene.release(batch_id)}
    assert scene.image(paid.image_id).state == State.GENERATED
    assert not scene.image(paid.image_id).reused
    assert sent[paid.image_id].steps == (StepName.UPLOAD, StepName.PATCH)
    with pytest.raises(Superseded):
        claim(scene.ledger, unpaid, scene.worker)
    assert isinstance(claim(scene.ledger, sent[unpaid.image_id].ticket, scene.worker), Claim)


def test_a_pause_of_one_batch_leaves_the_others_alone(scene: Scene) -> None:
    """Also those that share its model."""
    (mine,), (theirs,) = tickets_of(scene, 1), tickets_of(scene, 2)
    holding.pause(scene.ledger, batch_of(scene, mine))
    assert isinstance(claim(scene.ledger, theirs, scene.worker), Claim)


def test_a_cancelled_batch_ends(scene: Scene) -> None:
    """What nobody has in hand ends at once, whatever it waited for; a paid picture ends at its next step."""
    batch_id = scene.submit(6)
    in_flight, uploaded, held, unknown, queued = (d.ticket for d in scene.release(batch_id, window=5))
    for ticket in (uploaded,):
        scene.generate(ticket)
        scene.upload(ticket)
    scene.fail(scene.claim(held), Account("402"), Decision(end=State.HELD))
    scene.fail(scene.claim(unknown), Ambiguous("timeout"), Decision(end=State.UNKNOWN))
    flying = scene.claim(in_flight)
    patching = scene.delivery(uploaded, StepName.PATCH)
    holding.cancel(scene.ledger, batch_id)
    assert scene.counts(batch_id) == {State.CANCELLED: 4, State.GENERATING: 1, State.UPLOADED: 1}
    assert scene.image(queued.image_id).error_class == Reason.CANCELLED
    scene.settle(flying)
    holding.stop_delivery(scene.ledger, scene.delivery(in_flight, StepName.UPLOAD), StepName.UPLOAD)
    # The CMS has been written already: the ledger says what is true.
    delivering.settle_published(scene.ledger, patching, "204")
    assert scene.counts(batch_id) == {State.CANCELLED: 5, State.PUBLISHED: 1}
    assert is_resting(scene.ledger, batch_id)
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is not None
    assert scene.release(batch_id) == []


def test_a_delivery_that_waits_in_the_ledger_is_stopped_at_once(scene: Scene) -> None:
    """No message of it would come for a while."""
    (ticket,) = scene.tickets(1)
    scene.generate(ticket)
    later = Decision(wait_seconds=3600.0)
    delivering.settle_delivery_failure(
        scene.ledger, scene.delivery(ticket, StepName.UPLOAD), StepName.UPLOAD, Overloaded("503"), later
    )
    holding.pause(scene.ledger, batch_of(scene, ticket))
    assert scene.image(ticket.image_id).state == State.HELD


def test_the_hold_of_a_model(scene: Scene) -> None:
    """Other models of the batch are bought, and what is paid for is delivered."""
    batch_id = scene.submit([planned(1), planned(2), planned(3, model=OTHER_MODEL)])
    paid, waits = (dispatch.ticket for dispatch in scene.release(batch_id))
    (other,) = (dispatch.ticket for dispatch in scene.release(batch_id, model=OTHER_MODEL))
    scene.generate(paid)
    hold(scene, batch_id, MODEL, Reason.ACCOUNT)
    holding.apply_holds(scene.ledger)
    assert scene.image(waits.image_id).state == State.HELD
    assert scene.delivery(paid, StepName.UPLOAD).stopped_by is None
    assert isinstance(claim(scene.ledger, other, scene.worker), Claim)


def test_the_first_reason_stays_until_a_person_says_more(scene: Scene) -> None:
    """Of two that find trouble one begins the hold; a pause stands above what held the batch before."""
    batch_id = scene.submit(1)
    assert hold(scene, batch_id, WHOLE, Reason.ACCOUNT)
    assert not hold(scene, batch_id, WHOLE, Reason.FAILURES)
    holding.pause(scene.ledger, batch_id)
    (found,) = holding.holds(scene.ledger, batch_id)
    assert (found.model, found.reason, found.until) == (WHOLE, Reason.PAUSED, None)


def test_trouble_of_the_shop_with_the_account_holds_the_batch(scene: Scene) -> None:
    """A key that the CMS does not take any more: nothing is bought for it, and nothing else is tried there."""
    batch_id = scene.submit(3)
    first, second, third = (dispatch.ticket for dispatch in scene.release(batch_id))
    for ticket in (first, second):
        scene.generate(ticket)
    delivery = scene.delivery(first, StepName.UPLOAD)
    held = Decision(end=State.HELD, holds_others=True)
    assert delivering.settle_delivery_failure(scene.ledger, delivery, StepName.UPLOAD, Account("403"), held)
    assert scene.image(third.image_id).state == State.HELD
    assert scene.delivery(second, StepName.UPLOAD).stopped_by == Reason.ACCOUNT


def test_a_budget_that_is_reached_holds_the_rest(scene: Scene) -> None:
    """The first that cannot be paid any more takes the rest along; it says how much was spent of how much."""
    tickets = scene.tickets(5, budget_usd_micros=2 * PRICE)
    batch_id = batch_of(scene, tickets[0])
    scene.generate(tickets[0])
    flying = scene.claim(tickets[1])
    with pytest.raises(Superseded, match="a moment"):
        claim(scene.ledger, tickets[2], scene.worker)
    assert scene.image(tickets[2].image_id).state == State.PLANNED
    scene.settle(flying)
    stopped = claim(scene.ledger, tickets[3], scene.worker)
    assert isinstance(stopped, Stopped)
    assert stopped.began
    assert "$0.0100" in stopped.message
    holding.apply_holds(scene.ledger)
    assert scene.counts(batch_id) == {State.GENERATED: 2, State.HELD: 3}
    assert {scene.image(ticket.image_id).error_class for ticket in tickets[2:]} == {Reason.BUDGET}
    # What is paid for is delivered.
    assert scene.delivery(tickets[0], StepName.UPLOAD).stopped_by is None


def test_a_call_that_cost_nothing_leaves_its_money_to_others(scene: Scene) -> None:
    """While calls in flight have reserved the rest of the budget nothing is held: they may not need it."""
    first, second = scene.tickets(2, budget_usd_micros=PRICE)
    flying = scene.claim(first)
    with pytest.raises(Superseded, match="a moment"):
        claim(scene.ledger, second, scene.worker)
    scene.fail(flying, Invalid("400"), Decision(end=State.FAILED))
    scene.set_image(second.image_id, not_before=None)
    (again,) = (dispatch.ticket for dispatch in scene.release(batch_of(scene, second)))
    assert isinstance(claim(scene.ledger, again, scene.worker), Claim)


def test_more_money_goes_on(scene: Scene) -> None:
    """With a new budget the images that waited for it are bought."""
    tickets = scene.tickets(3, budget_usd_micros=PRICE)
    batch_id = batch_of(scene, tickets[0])
    scene.generate(tickets[0])
    claim(scene.ledger, tickets[1], scene.worker)
    holding.apply_holds(scene.ledger)
    assert holding.resume(scene.ledger, batch_id, 3 * PRICE) == 2
    for dispatch in scene.release(batch_id):
        scene.generate(dispatch.ticket)
    assert scene.batch(batch_id).spent_usd_micros == 3 * PRICE


def test_what_costs_nothing_goes_on_without_money(scene: Scene) -> None:
    """Pictures that were bought for another batch are delivered, whatever the budget says."""
    (before,) = (d.ticket for d in scene.release(scene.submit([planned(1, fingerprint="a" * 64)])))
    scene.generate(before)
    images = [planned(2), planned(3), planned(4, fingerprint="a" * 64)]
    batch_id = scene.submit(images, budget_usd_micros=PRICE)
    first, second = (dispatch.ticket for dispatch in scene.release(batch_id, window=2))
    scene.generate(first)
    claim(scene.ledger, second, scene.worker)
    holding.apply_holds(scene.ledger)
    assert scene.counts(batch_id) == {State.GENERATED: 1, State.HELD: 1, State.PLANNED: 1}
    assert [dispatch.steps for dispatch in scene.release(batch_id)] == [(StepName.UPLOAD, StepName.PATCH)]


def test_the_budget_of_a_models_day_holds_over_batches(scene: Scene) -> None:
    """Two batches share it; it counts reservations, and what was spent earlier that day without a budget."""
    (early,) = scene.tickets(1)
    scene.generate(early)
    day = today(3 * PRICE)
    mine, theirs = tickets_of(scene, 1, 2), tickets_of(scene, 3, 4)
    first, second = (claim(scene.ledger, tickets[0], scene.worker, day) for tickets in (mine, theirs))
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    with pytest.raises(Superseded, match="a moment"):
        claim(scene.ledger, mine[1], scene.worker, day)
    assert scene.batch(batch_of(scene, mine[0])).reserved_usd_micros == PRICE
    scene.settle(first)
    scene.settle(second)
    stopped = claim(scene.ledger, theirs[1], scene.worker, day)
    assert isinstance(stopped, Stopped)
    assert "2026-11-22" in stopped.message
    (found,) = holding.holds(scene.ledger, batch_of(scene, theirs[0]))
    assert (found.model, found.reason, found.until) == (MODEL, Reason.DAY_BUDGET, day.ends)


def test_a_new_day_brings_new_money(scene: Scene) -> None:
    """The next day has an account of its own; a claim of yesterday is booked in yesterday's."""
    yesterday = today(PRICE)
    tomorrow = DayBudget("2026-11-23", PRICE, datetime.now(UTC) + WEEK, datetime.now(UTC) + 2 * WEEK)
    first, second, third = scene.tickets(3)
    late = claim(scene.ledger, first, scene.worker, yesterday)
    assert isinstance(claim(scene.ledger, second, scene.worker, tomorrow), Claim)
    assert isinstance(late, Claim)
    scene.settle(late, cost=PRICE)
    assert isinstance(claim(scene.ledger, third, scene.worker, yesterday), Stopped)


def test_a_dead_workers_claim_is_booked_in_its_day(scene: Scene) -> None:
    """The sweep that settles it knows the day from the attempt."""
    (ticket, other) = scene.tickets(2)
    claim(scene.ledger, ticket, scene.worker, today(2 * PRICE))
    leases.stop_worker(scene.ledger, scene.worker)
    scene.fail(orphaned(scene, ticket), Ambiguous("the worker died"), Decision(end=State.UNKNOWN))
    successor = leases.register_worker(scene.ledger, "there", [])
    assert isinstance(claim(scene.ledger, other, successor, today(2 * PRICE)), Claim)


def orphaned(scene: Scene, ticket: Ticket) -> Claim:
    """The claim as the sweep reads it."""
    found = claim_of(scene.ledger, ticket)
    assert found is not None
    return found


def test_a_hold_that_ends_by_itself(scene: Scene) -> None:
    """When its time has come, what it held goes on in the next round; what waits for something else does not."""
    batch_id = scene.submit([planned(1), planned(2, model=OTHER_MODEL)])
    hold(scene, batch_id, MODEL, Reason.DAY_BUDGET, datetime.now(UTC) - WEEK)
    hold(scene, batch_id, OTHER_MODEL, Reason.DAY_BUDGET, datetime.now(UTC) + WEEK)
    holding.apply_holds(scene.ledger)
    assert scene.counts(batch_id) == {State.HELD: 2}
    assert holding.lift_due(scene.ledger) == [batch_id]
    assert scene.counts(batch_id) == {State.PLANNED: 1, State.HELD: 1}
    assert scene.batch(batch_id).round == 2
    assert holding.lift_due(scene.ledger) == []


def test_each_round_has_its_summary(scene: Scene) -> None:
    """Also when the batch rests again without having moved."""
    batch_id = scene.submit(1)
    holding.pause(scene.ledger, batch_id)
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is not None
    holding.resume(scene.ledger, batch_id)
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is None
    holding.pause(scene.ledger, batch_id)
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is not None


def awaiting_publication(scene: Scene, images: int) -> tuple[str, list[Ticket]]:
    """A batch whose pictures are uploaded and wait for a person."""
    tickets = scene.tickets(images)
    for ticket in tickets:
        scene.generate(ticket)
        scene.upload(ticket)
        scene.set_image(ticket.image_id, state=State.HELD, error_class=Reason.PUBLISH)
    return batch_of(scene, tickets[0]), tickets


def test_publishing_what_was_looked_at(scene: Scene) -> None:
    """The chosen ones are sent to the CMS, and nothing is uploaded again; the others wait on, whatever is resumed."""
    batch_id, tickets = awaiting_publication(scene, 3)
    key = scene.image(tickets[0].image_id).key
    assert holding.publish_held(scene.ledger, batch_id, [key]) == 1
    assert holding.resume(scene.ledger, batch_id) == 0
    (found,) = sweeping.unclaimed_before(scene.ledger, datetime.now(UTC) - WEEK)
    (sent,) = redispatch(scene.ledger, [found.image_id])
    assert sent.steps == (StepName.PATCH,)
    scene.publish_uploaded(sent.ticket)
    assert holding.publish_held(scene.ledger, batch_id) == 2
    assert holding.publish_held(scene.ledger, batch_id) == 0


ALIKE = BreakerRules(calls=3, overloaded_seconds=60.0)


def fail_one(scene: Scene, ticket: Ticket, error: StepError) -> bool:
    """A call after which its image is given up, unless it is not the image; whether the model is held from now on."""
    claimed, decision = scene.claim(ticket), Decision(end=State.FAILED)
    if holding.all_failed(scene.ledger, claimed.batch_id, MODEL, error.error_class, ALIKE.calls - 1):
        decision = after_failing_alike(error.error_class, ALIKE)
    return settling.settle_failure(scene.ledger, claimed, error, decision)


def test_calls_that_fail_alike_hold_the_model(scene: Scene) -> None:
    """After so many in a row; a success in between, or another error, begins the count anew."""
    tickets = scene.tickets(10)
    assert not fail_one(scene, tickets[0], Invalid("400"))
    assert not fail_one(scene, tickets[1], Invalid("400"))
    scene.generate(tickets[2])
    assert not fail_one(scene, tickets[3], Invalid("400"))
    assert not fail_one(scene, tickets[4], Invalid("400"))
    assert not fail_one(scene, tickets[5], Overloaded("503"))
    assert not fail_one(scene, tickets[6], Overloaded("503"))
    assert fail_one(scene, tickets[7], Overloaded("503"))
    (found,) = holding.holds(scene.ledger, batch_of(scene, tickets[0]))
    assert (found.model, found.reason) == (MODEL, Reason.FAILURES)
    assert "503" in found.message
    assert found.until is not None  # it may be over in a while
    assert {scene.image(ticket.image_id).state for ticket in tickets[7:]} == {State.HELD}


def test_what_will_not_mend_itself_waits_for_a_person(scene: Scene) -> None:
    """Requests that are all wrong are not tried again in the night."""
    tickets = scene.tickets(3)
    assert [fail_one(scene, ticket, Invalid("400")) for ticket in tickets] == [False, False, True]
    assert holding.holds(scene.ledger, batch_of(scene, tickets[0]))[0].until is None


def test_other_batches_failures_do_not_count(scene: Scene) -> None:
    """A batch with a template that cannot work does not stop another one of the same model."""
    mine, theirs = tickets_of(scene, 1, 2, 3, 4), tickets_of(scene, 5, 6, 7, 8)
    outcomes: list[Any] = [
        fail_one(scene, ticket, Invalid("400")) for ticket in (mine[0], theirs[0], mine[1], theirs[1])
    ]
    assert outcomes == [False] * 4
    assert fail_one(scene, mine[2], Invalid("400"))
    assert scene.image(theirs[3].image_id).state == State.QUEUED


def test_a_worker_that_died_says_nothing_about_the_model(scene: Scene) -> None:
    """All the calls that it had in flight are unknown alike; one dropped connection after them holds nothing."""
    tickets, killed = scene.tickets(5), leases.register_worker(scene.ledger, "elsewhere", [])
    for ticket in tickets[:3]:
        scene.fail(scene.claim(ticket, killed), Ambiguous("the worker died"), Decision(end=State.FAILED))
    leases.abandon(scene.ledger, killed)
    assert not fail_one(scene, tickets[3], Ambiguous("dropped"))
    assert holding.holds(scene.ledger, batch_of(scene, tickets[3])) == []


def test_an_adopted_picture_needs_no_money(scene: Scene) -> None:
    """A message of a held model whose picture has come meanwhile goes on; with its whole batch it waits."""
    (buyer,) = (d.ticket for d in scene.release(scene.submit([planned(1, fingerprint="b" * 64)])))
    (mine,) = (d.ticket for d in scene.release(scene.submit([planned(2, fingerprint="b" * 64)])))
    (other,) = (d.ticket for d in scene.release(scene.submit([planned(3, fingerprint="b" * 64)])))
    scene.generate(buyer)
    hold(scene, batch_of(scene, mine), MODEL, Reason.BUDGET)
    hold(scene, batch_of(scene, other), WHOLE, Reason.PAUSED)
    assert claim(scene.ledger, mine, scene.worker) is NoClaim.ADOPTED
    assert isinstance(claim(scene.ledger, other, scene.worker), Stopped)
