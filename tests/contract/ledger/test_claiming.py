"""The right to pay: given once, to a living worker, inside the budget."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime

import pytest

from tasks.core.dispatch import Ticket
from tasks.core.errors import Ambiguous, LeaseLost, NoImage, Superseded
from tasks.core.retry import Decision
from tasks.core.states import State
from tasks.ledger import claiming, leases
from tasks.ledger.claiming import NoClaim, claim
from tasks.ledger.rows import Claim
from tests.contract.ledger.racers import claim_all
from tests.contract.ledger.scene import MODEL, PRICE, Scene, planned, race

SHARED = "f" * 64


def test_a_claim_has_all_that_the_call_needs(scene: Scene) -> None:
    """Prompt, sizes, frozen model and price come with it; the image is held and its price reserved."""
    (ticket,) = scene.tickets(1, price=7)
    claimed = scene.claim(ticket)
    assert claimed.prompt == planned(0).prompt
    assert claimed.native_size == planned(0).native_size
    assert claimed.parameters == planned(0).parameters
    assert (claimed.spec, claimed.price_usd_micros, claimed.fence, claimed.attempt) == ({"alias": MODEL}, 7, 1, 1)
    row = scene.image(ticket.image_id)
    assert (row.state, row.worker_id, row.reserved_usd_micros, row.attempts) == (State.GENERATING, scene.worker, 7, 1)
    assert scene.batch(claimed.batch_id).reserved_usd_micros == 7
    (attempt,) = scene.attempts(ticket.image_id)
    assert (attempt.fence, attempt.worker_id, attempt.ended_at) == (1, scene.worker, None)


def test_a_twin_of_the_message_claims_nothing(scene: Scene) -> None:
    """While the same message is being worked on, its twin is told so."""
    (ticket,) = scene.tickets()
    scene.claim(ticket)
    assert claim(scene.ledger, ticket, scene.worker) is NoClaim.TWIN


def test_a_message_whose_image_is_past_the_step_goes_on(scene: Scene) -> None:
    """Generated, uploaded and published images let the chain go on."""
    generated, published = scene.tickets(2)
    scene.generate(generated)
    scene.publish(published)
    assert claim(scene.ledger, generated, scene.worker) is NoClaim.PAST
    assert claim(scene.ledger, published, scene.worker) is NoClaim.PAST
    scene.upload(generated)
    assert claim(scene.ledger, generated, scene.worker) is NoClaim.PAST


@pytest.mark.parametrize("state", [State.PLANNED, State.FAILED, State.REFUSED, State.CANCELLED, State.HELD])
def test_an_image_that_is_not_queued_is_not_claimed(scene: Scene, state: State) -> None:
    """Given back, ended or held: the message is out of date."""
    (ticket,) = scene.tickets()
    scene.set_image(ticket.image_id, state=state)
    with pytest.raises(Superseded, match=f"is {state}"):
        claim(scene.ledger, ticket, scene.worker)


def test_an_image_of_another_ledger_is_not_claimed(scene: Scene) -> None:
    """A message about an image that this ledger does not have is out of date."""
    with pytest.raises(Superseded, match="not in this ledger"):
        claim(scene.ledger, Ticket(12345, 1), scene.worker)


@pytest.mark.parametrize("known", [True, False])
def test_a_worker_taken_for_dead_claims_nothing(scene: Scene, known: bool) -> None:
    """Its claims would be bought again by others at once; the image stays queued for a later try."""
    (ticket,) = scene.tickets()
    worker = scene.worker if known else "never-registered"
    leases.stop_worker(scene.ledger, worker)
    with pytest.raises(LeaseLost):
        claim(scene.ledger, ticket, worker)
    assert scene.image(ticket.image_id).state == State.QUEUED
    leases.beat(scene.ledger, scene.worker)
    assert isinstance(claim(scene.ledger, ticket, scene.worker), Claim)


def test_one_of_many_messages_claims(scene: Scene) -> None:
    """Sixteen copies of one message at the same moment make one claim."""
    (ticket,) = scene.tickets()
    outcomes = race(16, lambda _n: claim(scene.ledger, ticket, scene.worker))
    assert sum(isinstance(outcome, Claim) for outcome in outcomes) == 1
    assert outcomes.count(NoClaim.TWIN) == 15


def test_a_budget_holds_at_any_concurrency(scene: Scene) -> None:
    """Sixteen workers racing for a budget of five images buy five; the others wait for what these will have cost."""
    tickets = scene.tickets(16, budget_usd_micros=5 * PRICE)
    outcomes = race(16, lambda n: claim(scene.ledger, tickets[n], scene.worker))
    assert sum(isinstance(outcome, Claim) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, Superseded) and "budget" in str(outcome) for outcome in outcomes) == 11
    batch = scene.batch(scene.image(tickets[0].image_id).batch_id)
    assert batch.reserved_usd_micros == 5 * PRICE
    assert scene.counts(batch.id) == {State.GENERATING: 5, State.PLANNED: 11}


def test_a_budget_holds_between_processes(scene: Scene, url: str) -> None:
    """Four processes that race for a budget of ten images buy ten."""
    tickets = scene.tickets(40, budget_usd_micros=10 * PRICE)
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        claimed = sum(pool.map(claim_all, [url] * 4, [scene.worker] * 4, [tickets[n::4] for n in range(4)]))
    assert claimed == 10
    batch = scene.batch(scene.image(tickets[0].image_id).batch_id)
    assert scene.counts(batch.id) == {State.GENERATING: 10, State.PLANNED: 30}
    assert batch.reserved_usd_micros == 10 * PRICE


def test_what_was_spent_counts_against_the_budget(scene: Scene) -> None:
    """Money spent leaves less for the next claim; money that a call did not cost is free again."""
    first, second, third = scene.tickets(3, budget_usd_micros=2 * PRICE)
    scene.generate(first, cost=PRICE)
    scene.fail(scene.claim(second), NoImage("nothing"), Decision(end=State.FAILED))
    assert isinstance(claim(scene.ledger, third, scene.worker), Claim)


def test_one_picture_is_bought_once_over_batches(scene: Scene) -> None:
    """Two batches want the same picture at the same moment: one buys, the other waits and then adopts it."""
    tickets = [scene.tickets([planned(0, fingerprint=SHARED)])[0] for _ in range(2)]
    outcomes = race(2, lambda n: claim(scene.ledger, tickets[n], scene.worker))
    (winner,) = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Claim)]
    waiting = scene.image(tickets[1 - winner].image_id)
    assert waiting.state == State.PLANNED
    assert waiting.not_before > datetime.now(UTC)
    claimed = outcomes[winner]
    assert isinstance(claimed, Claim)
    scene.settle(claimed)
    scene.set_image(waiting.id, not_before=None)
    (dispatch,) = scene.release(waiting.batch_id)
    assert scene.image(dispatch.ticket.image_id).state == State.GENERATED
    assert scene.image(dispatch.ticket.image_id).reused


def test_a_picture_bought_meanwhile_is_adopted(scene: Scene) -> None:
    """A queued image whose picture another has bought becomes generated without a call or a cost."""
    first, second = scene.tickets([planned(0, fingerprint=SHARED), planned(1, fingerprint=SHARED)])
    scene.generate(first)
    assert claim(scene.ledger, second, scene.worker) is NoClaim.ADOPTED
    row = scene.image(second.image_id)
    assert (row.state, row.reused, row.cost_usd_micros, row.attempts) == (State.GENERATED, True, 0, 0)
    assert scene.batch(row.batch_id).reserved_usd_micros == 0


def test_a_picture_whose_buyer_gave_up_is_bought_by_the_next(scene: Scene) -> None:
    """The image that failed does not keep its picture from others."""
    first, second = scene.tickets([planned(0, fingerprint=SHARED), planned(1, fingerprint=SHARED)])
    scene.fail(scene.claim(first), NoImage("nothing"), Decision(end=State.FAILED))
    assert scene.claim(second).image_id == second.image_id
    assert scene.picture(SHARED).image_id == second.image_id


def test_many_images_of_one_picture_buy_it_once(scene: Scene) -> None:
    """Sixteen images of one picture at the same moment make one call."""
    tickets = scene.tickets([planned(n, fingerprint=SHARED) for n in range(16)])
    outcomes = race(16, lambda n: claim(scene.ledger, tickets[n], scene.worker))
    assert sum(isinstance(outcome, Claim) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Superseded) for outcome in outcomes) == 15


def test_many_images_of_a_picture_that_was_given_up_buy_it_once(scene: Scene) -> None:
    """Sixteen images find a picture whose buyer gave up, at the same moment: one takes it over."""
    first, *others = scene.tickets([planned(n, fingerprint=SHARED) for n in range(17)])
    scene.fail(scene.claim(first), NoImage("nothing"), Decision(end=State.FAILED))
    outcomes = race(16, lambda n: claim(scene.ledger, others[n], scene.worker))
    assert sum(isinstance(outcome, Claim) for outcome in outcomes) == 1


def test_the_claim_of_a_dead_worker(scene: Scene) -> None:
    """It can be read as it was, to be settled; an image that is not being bought has none."""
    (ticket,) = scene.tickets()
    assert claiming.orphan(scene.ledger, ticket.image_id) is None
    claimed = scene.claim(ticket)
    assert claiming.orphan(scene.ledger, ticket.image_id) == claimed
    scene.fail(claimed, Ambiguous("dead"), Decision(wait_seconds=1.0))
    assert claiming.orphan(scene.ledger, ticket.image_id) is None
