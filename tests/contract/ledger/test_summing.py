"""When a batch rests, what it has come to, and that it is said once a round."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from tasks.core.errors import NoImage, Refused
from tasks.core.retry import Decision
from tasks.core.states import ACTIVE, State
from tasks.core.summary import FailureGroup
from tasks.ledger import leases, sweeping
from tasks.ledger.claiming import claim
from tasks.ledger.schema import summary
from tasks.ledger.summing import claim_message, is_resting, mark_sent, sent_message, summarise
from tests.contract.ledger.scene import MODEL, PRICE, Scene, planned, race


@pytest.mark.parametrize("state", list(State))
def test_a_batch_rests_when_nothing_in_it_is_active(scene: Scene, state: State) -> None:
    """One image that something will move on keeps the whole batch awake."""
    batch_id = scene.submit(2)
    first, second = (d.ticket.image_id for d in scene.release(batch_id))
    scene.set_image(first, state=State.PUBLISHED)
    scene.set_image(second, state=state)
    assert is_resting(scene.ledger, batch_id) is (state not in ACTIVE)
    assert sweeping.resting_unsaid(scene.ledger) == ([] if state in ACTIVE else [batch_id])


def test_a_batch_without_images_rests_and_one_that_has_not_started_does_not(scene: Scene) -> None:
    """Only what has started can come to rest."""
    batch_id = scene.submit(0)
    assert is_resting(scene.ledger, batch_id)
    scene.set_batch(batch_id, phase="planning")
    assert not is_resting(scene.ledger, batch_id)
    assert not is_resting(scene.ledger, "another")


def test_a_summary_is_claimed_once_a_round(scene: Scene) -> None:
    """Sixteen callbacks at the same moment: one sends; the next round has a summary of its own."""
    batch_id = scene.submit(0)
    said = race(16, lambda _n: claim_message(scene.ledger, batch_id, "end", scene.worker))
    assert sum(s is not None for s in said) == 1
    scene.set_batch(batch_id, round=2)
    again = claim_message(scene.ledger, batch_id, "end", scene.worker)
    assert again is not None
    assert again.round == 2


def test_a_summary_of_a_batch_that_was_woken_is_not_claimed(scene: Scene) -> None:
    """Between the look and the claim a retry may begin the next round: its summary must not be used up."""
    batch_id = scene.submit(1)
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is None
    assert claim_message(scene.ledger, "another", "end", scene.worker) is None
    scene.publish(scene.release(batch_id)[0].ticket)
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is not None


def test_the_end_is_not_said_before_the_start(scene: Scene) -> None:
    """The start is claimed once, while the batch is active; the end's turn comes when the start is out."""
    batch_id = scene.submit(1)
    start = claim_message(scene.ledger, batch_id, "start", scene.worker)
    assert start is not None
    assert claim_message(scene.ledger, batch_id, "start", scene.worker) is None
    scene.publish(scene.release(batch_id)[0].ticket)
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is None
    mark_sent(scene.ledger, start, {"text": "🚀 시작"}, None)
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is not None


def test_a_start_that_is_never_said_does_not_hold_up_the_end(scene: Scene) -> None:
    """Whoever was about to say it had a minute."""
    batch_id = scene.submit(0)
    assert claim_message(scene.ledger, batch_id, "start", scene.worker) is not None
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is None
    with scene.ledger.write() as connection:
        connection.execute(update(summary).values(claimed_at=datetime.now(UTC) - timedelta(seconds=61)))
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is not None


def test_a_sent_message_is_kept(scene: Scene) -> None:
    """What was sent, or why it could not be, is there for whoever watches; the sweep leaves it alone."""
    batch_id = scene.submit(0)
    said = claim_message(scene.ledger, batch_id, "end", scene.worker)
    assert said is not None
    assert sent_message(scene.ledger, batch_id) is None
    mark_sent(scene.ledger, said, {"text": "✅ 끝"}, None)
    assert sent_message(scene.ledger, batch_id) == {"message": {"text": "✅ 끝"}, "error": None}
    leases.stop_worker(scene.ledger, scene.worker)
    assert sweeping.forget_unsent_messages(scene.ledger) == 0
    assert sweeping.resting_unsaid(scene.ledger) == []


def test_a_message_whose_sender_died_is_sent_by_another(scene: Scene) -> None:
    """A claim that was never marked is dropped with its worker, and the batch counts as unsaid again."""
    batch_id = scene.submit(0)
    claim_message(scene.ledger, batch_id, "end", scene.worker)
    assert sweeping.forget_unsent_messages(scene.ledger) == 0, "its sender lives"
    assert sweeping.resting_unsaid(scene.ledger) == []
    leases.stop_worker(scene.ledger, scene.worker)
    assert sweeping.forget_unsent_messages(scene.ledger) == 1
    assert sweeping.resting_unsaid(scene.ledger) == [batch_id]


def test_a_summary_counts_groups_and_names_examples(scene: Scene) -> None:
    """Failures are grouped by reason, the largest group first, each with at most five of its keys."""
    batch_id = scene.submit([planned(n) for n in range(12)], budget_usd_micros=5 * PRICE, name="spring")
    tickets = [d.ticket for d in scene.release(batch_id)]
    for ticket in tickets[:7]:
        scene.fail(scene.claim(ticket), Refused("content policy"), Decision(end=State.REFUSED))
    scene.fail(scene.claim(tickets[7]), NoImage("empty", cost_usd_micros=5), Decision(end=State.FAILED))
    for ticket in tickets[8:]:
        scene.publish(ticket)
    summary = summarise(scene.ledger, batch_id, "https://reports/1")
    assert (summary.name, summary.total, summary.round, summary.models) == ("spring", 12, 1, (MODEL,))
    assert summary.counts == {State.REFUSED: 7, State.FAILED: 1, State.PUBLISHED: 4}
    assert (summary.published, summary.failed, summary.spent_usd_micros) == (4, 8, 4 * PRICE + 5)
    refused, failed = summary.failures
    keys = tuple(planned(n).key for n in range(5))
    assert refused == FailureGroup(State.REFUSED, "refused", "generate", "content policy", 7, keys)
    assert (failed.error_class, failed.message, failed.example_keys) == ("no_image", "empty", (planned(7).key,))
    assert summary.duration_seconds >= 0
    assert summary.report_url == "https://reports/1"


def test_a_summary_tells_reuse_and_what_waits(scene: Scene) -> None:
    """Pictures that cost nothing are counted, and images held for the budget are a group of their own."""
    scene.generate(scene.tickets(1)[0])
    batch_id = scene.submit(3, budget_usd_micros=PRICE)
    reused, bought, held = (d.ticket for d in scene.release(batch_id))
    scene.generate(bought)
    claim(scene.ledger, held, scene.worker)
    summary = summarise(scene.ledger, batch_id)
    assert (summary.reused, summary.waiting) == (1, 1)
    assert [(group.state, group.error_class, group.count) for group in summary.failures] == [(State.HELD, "budget", 1)]
    assert scene.image(reused.image_id).state == State.GENERATED


def test_an_unknown_batch_has_no_summary(scene: Scene) -> None:
    """There is nothing to count."""
    with pytest.raises(KeyError):
        summarise(scene.ledger, "another")
