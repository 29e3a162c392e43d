"""A start message is updated by one worker at a time, now and then, and a last time when its round is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from tasks.core.posts import Posted
from tasks.ledger import following
from tasks.ledger.following import FollowingStart
from tasks.ledger.schema import summary
from tasks.ledger.summing import claim_message, mark_sent
from tests.contract.ledger.scene import Scene, race


def begin(scene: Scene, batch_id: str, posted: Posted | None = None) -> None:
    """Say that a batch's round begins."""
    said = claim_message(scene.ledger, batch_id, "start", scene.worker)
    assert said is not None
    mark_sent(scene.ledger, said, {"text": "🚀"}, None, posted)


def become_due(scene: Scene) -> None:
    """Let all that may be updated be due."""
    with scene.ledger.write() as connection:
        open_ = update(summary).where(summary.c.update_due_at.is_not(None))
        connection.execute(open_.values(update_due_at=datetime.now(UTC) - timedelta(seconds=1)))


def claim_one(scene: Scene, batch_id: str) -> FollowingStart:
    """The one start message that is due."""
    (mine,) = following.claim_starts(scene.ledger, batch_id)
    return mine


def test_a_start_is_updated_now_and_then_by_one_worker(scene: Scene) -> None:
    """Not at once, and by one of sixteen that see it due; the next time when it was said."""
    batch_id = scene.submit(1)
    begin(scene, batch_id, Posted("C1", "1.5"))
    assert following.with_news(scene.ledger) == following.claim_starts(scene.ledger, batch_id) == []
    become_due(scene)
    assert following.with_news(scene.ledger) == [batch_id]
    claimed = race(16, lambda _n: following.claim_starts(scene.ledger, batch_id))
    (mine,) = [one for each in claimed if isinstance(each, list) for one in each]
    assert (mine.posted, mine.message) == (Posted("C1", "1.5"), {"text": "🚀"})
    assert (mine.over, mine.superseded) == (False, False)
    assert following.with_news(scene.ledger) == []
    following.settle(scene.ledger, mine, {"text": "⏳"}, datetime.now(UTC))
    assert claim_one(scene, batch_id).message == {"text": "⏳"}


def test_a_start_that_a_webhook_posted_is_not(scene: Scene) -> None:
    """Nobody knows where it is."""
    batch_id = scene.submit(1)
    begin(scene, batch_id)
    become_due(scene)
    assert following.with_news(scene.ledger) == []
    assert following.start_of(scene.ledger, batch_id) is None
    assert following.hasten(scene.ledger, batch_id) is False


def test_the_last_update_is_made_when_the_round_is_over(scene: Scene) -> None:
    """At once, and none after it."""
    batch_id = scene.submit(0)
    begin(scene, batch_id, Posted("C1", "1.5"))
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is not None
    assert following.hasten(scene.ledger, batch_id) is True
    mine = claim_one(scene, batch_id)
    assert (mine.over, mine.superseded) == (True, False)
    following.settle(scene.ledger, mine, {"text": "✅"}, None)
    following.hasten(scene.ledger, batch_id)
    assert following.with_news(scene.ledger) == following.claim_starts(scene.ledger, batch_id) == []


def test_updates_that_overtake_each_other_end_with_the_last_word(scene: Scene) -> None:
    """One that was under way when the round's last was made is settled after it: the message is looked at once more."""
    batch_id = scene.submit(0)
    begin(scene, batch_id, Posted("C1", "1.5"))
    become_due(scene)
    slow = claim_one(scene, batch_id)
    claim_message(scene.ledger, batch_id, "end", scene.worker)
    following.hasten(scene.ledger, batch_id)
    following.settle(scene.ledger, claim_one(scene, batch_id), {"text": "✅"}, None)
    following.settle(scene.ledger, slow, {"text": "⏳"}, datetime.now(UTC))
    mine = claim_one(scene, batch_id)
    assert (mine.over, mine.message) == (True, {"text": "⏳"})


def test_a_round_that_another_has_taken_over_from_is_told_so(scene: Scene) -> None:
    """Each round has a start of its own; answers go to the latest."""
    batch_id = scene.submit(1)
    begin(scene, batch_id, Posted("C1", "1.5"))
    assert following.start_of(scene.ledger, batch_id) == Posted("C1", "1.5")
    scene.set_batch(batch_id, round=2)
    become_due(scene)
    mine = claim_one(scene, batch_id)
    assert (mine.over, mine.superseded) == (False, True)
    begin(scene, batch_id, Posted("C1", "2.5"))
    assert following.start_of(scene.ledger, batch_id) == Posted("C1", "2.5")


def test_when_slack_asks_for_a_rest_all_have_it(scene: Scene) -> None:
    """The limit is the workspace's: no batch is updated before then; what is later stays later, what is done is."""
    soon, done = scene.submit(1), scene.submit(0)
    begin(scene, soon, Posted("C1", "1.5"))
    begin(scene, done, Posted("C1", "2.5"))
    become_due(scene)
    following.settle(scene.ledger, claim_one(scene, done), {}, None)
    following.put_off(scene.ledger, datetime.now(UTC) + timedelta(seconds=30))
    assert following.with_news(scene.ledger) == []
    become_due(scene)
    assert following.with_news(scene.ledger) == [soon]
