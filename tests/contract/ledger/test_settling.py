"""What a call has come to is booked once; a late settlement moves nothing and loses no picture."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.dispatch import StepName
from tasks.core.errors import (
    Account,
    Ambiguous,
    BadBytes,
    NoImage,
    NotSent,
    Overloaded,
    RateLimited,
    Refused,
    StepError,
    Superseded,
)
from tasks.core.retry import Decision
from tasks.core.states import State
from tasks.ledger import holding
from tasks.ledger.claiming import NoClaim, claim
from tasks.ledger.dispatching import redispatch
from tasks.ledger.reading import bought_fingerprints, images
from tests.contract.ledger.scene import OTHER_MODEL, PRICE, Scene, bought, planned, race

SOON = Decision(wait_seconds=2.0)
SHARED = "f" * 64


def test_a_picture_is_booked(scene: Scene) -> None:
    """Image, attempt, picture, thumbnail and money agree on what happened."""
    (ticket,) = scene.tickets()
    claimed = scene.claim(ticket)
    scene.settle(claimed, cost=4_200)
    row = scene.image(ticket.image_id)
    assert (row.state, row.cost_usd_micros, row.reserved_usd_micros) == (State.GENERATED, 4_200, 0)
    assert (row.worker_id, row.reused, row.error_class) == (None, False, None)
    assert row.generated_at is not None
    batch = scene.batch(claimed.batch_id)
    assert (batch.reserved_usd_micros, batch.spent_usd_micros) == (0, 4_200)
    (attempt,) = scene.attempts(ticket.image_id)
    assert (attempt.outcome, attempt.cost_usd_micros, attempt.trace_id) == ("generated", 4_200, "trace-1")
    assert bought_fingerprints(scene.ledger, [claimed.fingerprint, "0"]) == {claimed.fingerprint}
    delivery = scene.delivery(ticket, StepName.UPLOAD)
    staged = bought(claimed).staged
    assert (delivery.staging_key, delivery.sha256, delivery.size_bytes) == (staged.key, staged.sha256, 1234)
    (view,) = images(scene.ledger, claimed.batch_id, thumbnails=True)
    assert view.thumbnail == b"jpeg "


@pytest.mark.parametrize(
    ("error", "cost", "attempts", "unknowns"),
    [
        (NotSent("refused"), 0, 0, 0),
        (RateLimited("429"), 0, 0, 0),
        (Overloaded("503"), 0, 1, 0),
        (NoImage("empty"), 0, 1, 0),
        (NoImage("empty, and charged", cost_usd_micros=3), 3, 1, 0),
        (Ambiguous("timeout"), PRICE, 1, 1),
        (Ambiguous("timeout, and known to be free", cost_usd_micros=0), 0, 1, 1),
        (BadBytes("half", cost_usd_micros=PRICE), PRICE, 1, 0),
    ],
    ids=lambda value: value.error_class if isinstance(value, StepError) else None,
)
def test_what_a_failure_costs(scene: Scene, error: StepError, cost: int, attempts: int, unknowns: int) -> None:
    """What was perhaps paid counts as paid; what never reached the provider uses up no attempt."""
    (ticket,) = scene.tickets()
    claimed = scene.claim(ticket)
    scene.fail(claimed, error, SOON)
    row = scene.image(ticket.image_id)
    assert (row.state, row.cost_usd_micros, row.reserved_usd_micros) == (State.QUEUED, cost, 0)
    assert (row.attempts, row.unknowns) == (attempts, unknowns)
    assert (row.error_class, row.error_step, row.error_message) == (error.error_class, "generate", str(error))
    batch = scene.batch(claimed.batch_id)
    assert (batch.reserved_usd_micros, batch.spent_usd_micros) == (0, cost)
    (attempt,) = scene.attempts(ticket.image_id)
    assert (attempt.outcome, attempt.message, attempt.cost_usd_micros) == (error.error_class, str(error), cost)


def test_the_same_message_tries_again(scene: Scene) -> None:
    """After a short wait the message claims anew, with the next fence and attempt."""
    (ticket,) = scene.tickets()
    scene.fail(scene.claim(ticket), Overloaded("503"), SOON)
    again = scene.claim(ticket)
    assert (again.fence, again.attempt) == (2, 2)
    assert [a.fence for a in scene.attempts(ticket.image_id)] == [1, 2]


def test_a_long_wait_goes_to_the_ledger(scene: Scene) -> None:
    """The image is planned again and not due before its wait is over."""
    (ticket,) = scene.tickets()
    scene.fail(scene.claim(ticket), RateLimited("429"), Decision(wait_seconds=600.0))
    row = scene.image(ticket.image_id)
    assert row.state == State.PLANNED
    wait = row.not_before - datetime.now(UTC)
    assert timedelta(seconds=590) < wait <= timedelta(seconds=600)


@pytest.mark.parametrize("end", [State.REFUSED, State.FAILED, State.HELD, State.UNKNOWN])
def test_an_end_is_an_end(scene: Scene, end: State) -> None:
    """The image is where the decision puts it, and its message is out of date."""
    (ticket,) = scene.tickets()
    scene.fail(scene.claim(ticket), Refused("no"), Decision(end=end))
    assert scene.image(ticket.image_id).state == end
    with pytest.raises(Superseded):
        claim(scene.ledger, ticket, scene.worker)


def test_trouble_with_the_account_holds_the_rest(scene: Scene) -> None:
    """What waits for this model in this batch is held; other models, and what is paid for, go on."""
    batch_id = scene.submit([*(planned(n) for n in range(5)), planned(9, model=OTHER_MODEL)])
    first, second, third, _fourth = (d.ticket for d in scene.release(batch_id, window=4))
    scene.generate(second)
    held_while_buying = scene.claim(third)
    scene.fail(scene.claim(first), Account("402"), Decision(end=State.HELD, holds_others=True))
    assert scene.counts(batch_id) == {State.HELD: 3, State.GENERATED: 1, State.GENERATING: 1, State.PLANNED: 1}
    held = [view for view in images(scene.ledger, batch_id) if view.state is State.HELD]
    assert {(view.error_class, view.error_message) for view in held} == {("account", "402")}
    scene.settle(held_while_buying)


def test_trouble_with_the_account_met_by_many(scene: Scene) -> None:
    """Sixteen calls that learn it at the same moment, while others claim and release, hold the rest together."""
    batch_id = scene.submit(200)
    tickets = [d.ticket for d in scene.release(batch_id, window=100)]
    claims = [scene.claim(ticket) for ticket in tickets[:12]]
    outcome = Decision(end=State.HELD, holds_others=True)

    def act(number: int) -> object:
        if number < len(claims):
            scene.fail(claims[number], Account("402"), outcome)
            return None
        for ticket in tickets[number::8]:
            try:
                claim(scene.ledger, ticket, scene.worker)
            except Superseded:
                scene.release(batch_id, window=100)
        return None

    outcomes = race(16, act)
    assert [o for o in outcomes if o is not None] == []
    holding.apply_holds(scene.ledger)  # for what was released while the others were being held
    counts = scene.counts(batch_id)
    assert counts[State.HELD] >= len(claims)
    assert set(counts) <= {State.HELD, State.GENERATING}


def test_a_late_failure_changes_nothing(scene: Scene) -> None:
    """The worker that was taken for dead learns it; image, money and attempt stay as the sweep booked them."""
    (ticket,) = scene.tickets()
    zombie = scene.claim(ticket)
    scene.fail(zombie, Ambiguous("the worker died"), SOON)
    before = scene.image(ticket.image_id), scene.batch(zombie.batch_id), scene.attempts(ticket.image_id)
    with pytest.raises(Superseded, match="claim 1 was taken away"):
        scene.fail(zombie, Refused("no"), Decision(end=State.REFUSED))
    assert (scene.image(ticket.image_id), scene.batch(zombie.batch_id), scene.attempts(ticket.image_id)) == before


def test_a_late_picture_is_not_bought_again(scene: Scene) -> None:
    """A picture that comes after its worker was taken for dead is adopted by the image's next message."""
    (ticket,) = scene.tickets()
    zombie = scene.claim(ticket)
    scene.fail(zombie, Ambiguous("the worker died"), SOON)
    (again,) = redispatch(scene.ledger, [ticket.image_id])
    with pytest.raises(Superseded, match="claim 1 was taken away"):
        scene.settle(zombie)
    assert scene.image(ticket.image_id).state == State.QUEUED
    assert scene.batch(zombie.batch_id).spent_usd_micros == PRICE
    (attempt,) = scene.attempts(ticket.image_id)
    assert (attempt.outcome, attempt.trace_id, attempt.cost_usd_micros) == ("generated", "trace-1", PRICE)
    assert claim(scene.ledger, again.ticket, scene.worker) is NoClaim.ADOPTED
    row = scene.image(ticket.image_id)
    assert (row.state, row.reused, row.cost_usd_micros, row.error_class) == (State.GENERATED, False, PRICE, None)
    assert scene.delivery(again.ticket, StepName.UPLOAD).staging_key == bought(zombie).staged.key


def test_a_late_picture_of_an_image_given_back_is_released_without_paying(scene: Scene) -> None:
    """An image that waits in the ledger takes its own late picture when it is released."""
    (ticket,) = scene.tickets()
    zombie = scene.claim(ticket)
    scene.fail(zombie, Ambiguous("the worker died"), Decision(wait_seconds=61.0))
    with pytest.raises(Superseded):
        scene.settle(zombie)
    scene.set_image(ticket.image_id, not_before=None)
    (dispatch,) = scene.release(zombie.batch_id)
    assert dispatch.steps == (StepName.UPLOAD, StepName.PATCH)
    assert not scene.image(ticket.image_id).reused


def test_the_first_picture_that_came_stays(scene: Scene) -> None:
    """When a zombie and its successor both bring a picture, nobody's bytes change under their feet."""
    (ticket,) = scene.tickets()
    zombie = scene.claim(ticket)
    scene.fail(zombie, Ambiguous("the worker died"), SOON)
    (again,) = redispatch(scene.ledger, [ticket.image_id])
    successor = scene.claim(again.ticket)
    with pytest.raises(Superseded):
        scene.settle(zombie, mark="-zombie")
    scene.settle(successor, mark="-successor")
    assert scene.picture(zombie.fingerprint).staging_key == bought(zombie, mark="-zombie").staged.key
    (view,) = images(scene.ledger, zombie.batch_id, thumbnails=True)
    assert (view.state, view.thumbnail, view.cost_usd_micros) == (State.GENERATED, b"jpeg -zombie", 2 * PRICE)
    assert scene.batch(zombie.batch_id).spent_usd_micros == 2 * PRICE


def test_one_of_many_settlements_counts(scene: Scene) -> None:
    """Eight settlements of one claim at the same moment book its money once."""
    (ticket,) = scene.tickets()
    claimed = scene.claim(ticket)
    outcomes = race(8, lambda _n: scene.settle(claimed))
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Superseded) for outcome in outcomes) == 7
    assert scene.batch(claimed.batch_id).spent_usd_micros == PRICE


def test_settlements_and_claims_of_one_picture_do_not_wait_in_a_circle(scene: Scene) -> None:
    """Images of two shared pictures are claimed and settled by sixteen threads; each picture is bought once."""
    prints = [SHARED, "e" * 64]
    tickets = scene.tickets([planned(n, fingerprint=prints[n % 2]) for n in range(64)])

    def act(number: int) -> list[str]:
        paid = []
        for ticket in tickets[number::16]:
            try:
                claimed = claim(scene.ledger, ticket, scene.worker)
            except Superseded:
                continue
            if not isinstance(claimed, NoClaim):
                scene.settle(claimed)
                paid.append(claimed.fingerprint)
        return paid

    outcomes = race(16, act)
    paid = [fingerprint for outcome in outcomes if isinstance(outcome, list) for fingerprint in outcome]
    assert sorted(paid) == sorted(prints)
    assert all(isinstance(outcome, list) for outcome in outcomes)
