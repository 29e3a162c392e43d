"""Images go on with another model: once each, with their history, their budget and their batch awake."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Row, select

from tasks.core.dispatch import Ticket
from tasks.core.errors import Account, Overloaded, Superseded
from tasks.core.fallbacks import Drawn, Onward
from tasks.core.holds import Reason
from tasks.core.pictures import Size
from tasks.core.retry import BreakerRules, Decision, after_failing_alike
from tasks.core.selection import Selection
from tasks.core.states import State
from tasks.core.summary import Fallback
from tasks.ledger import claiming, falling_back, holding, reading, retrying, schema, settling, summing
from tasks.ledger.claiming import Stopped
from tasks.ledger.falling_back import Stuck
from tests.contract.ledger.scene import MODEL, OTHER_MODEL, PRICE, Scene, planned

FAILED = Decision(end=State.FAILED)
HELD = Decision(end=State.HELD, holds_others=True)
THIRD_MODEL = "flux-9"


def drawn(image_id: int, model: str = OTHER_MODEL) -> Drawn:
    """An image as another model draws it."""
    return Drawn(model, Size(2048, 2048), {"size": "2048x2048"}, f"{model[0]}{image_id:063x}")


def choose(each: Stuck) -> Drawn | None:
    """The other model for all."""
    return drawn(each.id)


def fail_over(scene: Scene, ticket: Ticket, model: str = OTHER_MODEL) -> None:
    """The image's call fails for the last time, and another model takes over."""
    onward = Onward(drawn(ticket.image_id, model))
    settling.settle_failure(scene.ledger, scene.claim(ticket), Overloaded("503", cost_usd_micros=70), FAILED, onward)


def hold_model(scene: Scene, ticket: Ticket, decision: Decision = HELD) -> str:
    """The model is held for the image's batch, whose images are to fall back; the batch's id."""
    claimed = scene.claim(ticket)
    assert settling.settle_failure(scene.ledger, claimed, Account("402"), decision, Onward(others=True))
    return claimed.batch_id


def revisions(scene: Scene, image_id: int) -> list[Row[Any]]:
    """What an image was, oldest first."""
    query = select(schema.revision).where(schema.revision.c.image_id == image_id).order_by(schema.revision.c.id)
    with scene.ledger.read() as connection:
        return list(connection.execute(query))


def test_an_image_goes_on_with_another_model(scene: Scene) -> None:
    """It is planned again for that model's queue with all its attempts; what it has cost stays booked."""
    (ticket,) = scene.tickets(1)
    fail_over(scene, ticket)
    now = scene.image(ticket.image_id)
    assert (now.state, now.model, now.asked_model) == (State.PLANNED, OTHER_MODEL, MODEL)
    assert (now.native_size, now.parameters, now.attempts, now.error_class) == (
        "2048x2048",
        {"size": "2048x2048"},
        0,
        None,
    )
    assert scene.release_model() == []
    (sent,) = scene.release_model(model=OTHER_MODEL)
    assert (sent.model, sent.ticket.dispatch_no) == (OTHER_MODEL, ticket.dispatch_no + 1)
    with pytest.raises(Superseded):
        scene.claim(ticket)
    scene.publish(sent.ticket)
    assert scene.batch(sent.batch_id).spent_usd_micros == PRICE + 70
    assert [each.model for each in scene.attempts(ticket.image_id)] == [MODEL, OTHER_MODEL]
    assert summing.summarise(scene.ledger, sent.batch_id).fallbacks == (Fallback(MODEL, OTHER_MODEL, 1, 1),)
    (view,) = reading.images(scene.ledger, sent.batch_id)
    assert (view.model, view.asked_model) == (OTHER_MODEL, MODEL)


def test_what_it_was_is_kept(scene: Scene) -> None:
    """The lineage tells why the first model gave up and which took over."""
    (ticket,) = scene.tickets(1)
    fail_over(scene, ticket)
    (was,) = revisions(scene, ticket.image_id)
    assert (was.round, was.state, was.model, was.attempts) == (1, State.FAILED, MODEL, 1)
    assert (was.error_class, was.error_message, was.fell_back_to) == ("overloaded", "503", OTHER_MODEL)
    (shown,) = reading.revisions(scene.ledger, scene.image(ticket.image_id).batch_id, planned(0).key)
    assert shown.fell_back_to == OTHER_MODEL


def test_the_asked_model_is_remembered_over_several(scene: Scene) -> None:
    """However long the chain, the image says what was asked for."""
    batch_id = scene.submit(1)
    (first,) = scene.release(batch_id)
    fail_over(scene, first.ticket)
    (second,) = scene.release(batch_id, model=OTHER_MODEL)
    fail_over(scene, second.ticket, THIRD_MODEL)
    now = scene.image(first.ticket.image_id)
    assert (now.model, now.asked_model) == (THIRD_MODEL, MODEL)
    stuck = falling_back.stuck(scene.ledger, now.id)
    assert (stuck.model, stuck.asked_model, stuck.references, stuck.unknowns) == (THIRD_MODEL, MODEL, (), 0)
    assert [was.model for was in revisions(scene, now.id)] == [MODEL, OTHER_MODEL]


def test_no_image_is_lost_between_hold_and_fallback(scene: Scene) -> None:
    """Images that are to move keep their batch awake: nobody says too early that it rests."""
    first, second = scene.tickets(2)
    batch_id = hold_model(scene, first)
    assert holding.apply_holds(scene.ledger) == []
    assert scene.counts(batch_id) == {State.HELD: 1, State.QUEUED: 1}
    with pytest.raises(Superseded, match="waits a moment"):
        scene.claim(second)
    assert scene.image(second.image_id).state == State.PLANNED
    assert scene.image(second.image_id).not_before is not None
    assert not summing.is_resting(scene.ledger, batch_id)


def test_a_held_models_images_move_in_bulk(scene: Scene) -> None:
    """Planned and queued ones, more than a transaction takes; what is in flight or has ended is left alone."""
    batch_id = scene.submit(1003)
    sent = [dispatch.ticket for dispatch in scene.release(batch_id, window=10)]
    flying = scene.claim(sent[0])
    hold_model(scene, sent[1])
    (held,) = falling_back.waiting(scene.ledger)
    assert (held.batch_id, held.model, held.reason, held.falls_back) == (batch_id, MODEL, Reason.ACCOUNT, True)
    assert falling_back.move_on(scene.ledger, held, choose) == {OTHER_MODEL: 1001}
    assert scene.counts(batch_id) == {State.GENERATING: 1, State.HELD: 1, State.PLANNED: 1001}
    assert falling_back.waiting(scene.ledger, batch_id) == []
    (was,) = revisions(scene, sent[2].image_id)
    assert (was.state, was.error_class, was.error_message) == (State.HELD, Reason.ACCOUNT, "402")
    scene.settle(flying)
    assert scene.image(flying.image_id).asked_model is None
    assert summing.summarise(scene.ledger, batch_id).fallbacks == (Fallback(MODEL, OTHER_MODEL, 1001, 0),)


def test_what_no_other_model_takes_is_held(scene: Scene) -> None:
    """As it would be without fallbacks: it waits for a person."""
    first, second, third = scene.tickets(3)
    batch_id = hold_model(scene, first)
    (held,) = falling_back.waiting(scene.ledger)
    moved = falling_back.move_on(scene.ledger, held, lambda each: choose(each) if each.id == third.image_id else None)
    assert moved == {OTHER_MODEL: 1}
    assert scene.image(second.image_id).error_class == Reason.ACCOUNT
    assert scene.counts(batch_id) == {State.HELD: 2, State.PLANNED: 1}
    assert revisions(scene, second.image_id) == []


def test_a_webhook_hears_of_no_end_that_is_none(scene: Scene) -> None:
    """An image that goes on has neither failed nor does it wait: only what is held is told."""
    one, first, second, third = scene.tickets(4)
    for ticket in (one, first, second, third):
        scene.set_image(ticket.image_id, notifies=True)
    fail_over(scene, one)
    hold_model(scene, first)
    (held,) = falling_back.waiting(scene.ledger)
    falling_back.move_on(scene.ledger, held, lambda each: choose(each) if each.id == third.image_id else None)
    told = select(schema.event.c.image_id, schema.event.c.type).order_by(schema.event.c.image_id)
    with scene.ledger.read() as connection:
        events = [tuple(row) for row in connection.execute(told)]
    assert events == [(first.image_id, "image.held"), (second.image_id, "image.held")]


def test_a_picture_that_is_bought_needs_no_other_model(scene: Scene) -> None:
    """Another batch has paid for it: the image adopts it at its next release."""
    (owner,) = scene.tickets([planned(7)])
    first, same = [planned(8), planned(7)]
    batch_id = scene.submit([first, same])
    sent = {dispatch.ticket.image_id: dispatch.ticket for dispatch in scene.release(batch_id)}
    ids = sorted(sent)
    hold_model(scene, sent[ids[0]])
    scene.generate(owner)
    assert falling_back.waiting(scene.ledger) == []
    assert claiming.claim(scene.ledger, sent[ids[1]], scene.worker) == claiming.NoClaim.ADOPTED


def test_a_batch_that_is_cancelled_meanwhile_stays_so(scene: Scene) -> None:
    """Whoever moves images looks again, under lock, at what it has chosen."""
    first, second = scene.tickets(2)
    batch_id = hold_model(scene, first)
    (held,) = falling_back.waiting(scene.ledger)

    def cancel_first(each: Stuck) -> Drawn | None:
        holding.cancel(scene.ledger, batch_id)
        return choose(each)

    assert falling_back.move_on(scene.ledger, held, cancel_first) == {}
    assert scene.image(second.image_id).state == State.CANCELLED
    assert revisions(scene, second.image_id) == []


def test_a_hold_that_nobody_waits_for_ends_silently(scene: Scene) -> None:
    """All images have gone on with another model: there is no new round to tell of."""
    first, second = scene.tickets(2)
    decision = after_failing_alike(Overloaded.error_class, BreakerRules(overloaded_seconds=-1.0))
    batch_id = hold_model(scene, first, decision)
    scene.set_image(first.image_id, state=State.PUBLISHED, error_class=None)
    (held,) = falling_back.waiting(scene.ledger)
    falling_back.move_on(scene.ledger, held, choose)
    assert holding.lift_due(scene.ledger) == [batch_id]
    assert scene.batch(batch_id).round == 1
    assert scene.image(second.image_id).model == OTHER_MODEL


def test_a_fallback_is_held_to_the_budget(scene: Scene) -> None:
    """The dearer model's own price is reserved, or nothing is bought."""
    prices = {MODEL: PRICE, OTHER_MODEL: 10 * PRICE}
    catalogue = {"models": {alias: {"alias": alias} for alias in prices}, "prices_usd_micros": prices}
    batch_id = scene.submit(1, catalogue=catalogue, budget_usd_micros=9 * PRICE)
    (sent,) = scene.release(batch_id)
    fail_over(scene, sent.ticket)
    (again,) = scene.release(batch_id, model=OTHER_MODEL)
    stopped = claiming.claim(scene.ledger, again.ticket, scene.worker)
    assert isinstance(stopped, Stopped)
    assert scene.image(sent.ticket.image_id).error_class == Reason.BUDGET
    holding.resume(scene.ledger, batch_id, 11 * PRICE)
    (again,) = scene.release(batch_id, model=OTHER_MODEL)
    assert scene.claim(again.ticket).price_usd_micros == 10 * PRICE


def test_a_retry_is_told_from_a_fallback(scene: Scene) -> None:
    """An image that fell back in this round is retried only if it is chosen; then it has both in its lineage."""
    batch_id = scene.submit(2)
    one, two = (dispatch.ticket for dispatch in scene.release(batch_id))
    fail_over(scene, one)
    fail_over(scene, two)
    for dispatch in scene.release(batch_id, model=OTHER_MODEL):
        scene.fail(scene.claim(dispatch.ticket), Overloaded("529"), FAILED)
    assert retrying.retry(scene.ledger, batch_id, Selection.of(None, [planned(0).key])).images == 1
    assert scene.image(two.image_id).state == State.FAILED
    lineage = [(was.model, was.fell_back_to) for was in revisions(scene, one.image_id)]
    assert lineage == [(MODEL, OTHER_MODEL), (OTHER_MODEL, None)]
    assert scene.image(one.image_id).asked_model == MODEL


@pytest.mark.parametrize(("model", "asked"), [(OTHER_MODEL, MODEL), (THIRD_MODEL, None)])
def test_who_names_a_model_asks_anew(scene: Scene, model: str, asked: str | None) -> None:
    """A retry with another template leaves the chain as it is, one with another model begins that model's."""
    (ticket,) = scene.tickets(1)
    batch_id = str(scene.image(ticket.image_id).batch_id)
    fail_over(scene, ticket)
    (again,) = scene.release(batch_id, model=OTHER_MODEL)
    scene.fail(scene.claim(again.ticket), Overloaded("529"), FAILED)
    edits = {ticket.image_id: planned(0, model=model, fingerprint="e" * 64)}
    assert retrying.retry(scene.ledger, batch_id, Selection(), edits).images == 1
    now = scene.image(ticket.image_id)
    assert (now.model, now.asked_model) == (model, asked)
