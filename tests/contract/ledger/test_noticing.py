"""What is held is told once an episode, however many find out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from tasks.core.holds import TOLD, WHOLE, Hold, Reason
from tasks.core.posts import Posted
from tasks.ledger import following, holding, leases, sweeping
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.noticing import claim_notices, mark_noticed
from tasks.ledger.schema import batch, hold, notice
from tasks.ledger.summing import claim_message, mark_sent
from tests.contract.ledger.scene import MODEL, OTHER_MODEL, Scene, race
from tests.waiting import wait_until

SOON = timedelta(minutes=30)


def put(scene: Scene, batch_id: str, model: str = MODEL, reason: Reason = Reason.ACCOUNT, **changes: Any) -> None:
    """Hold a model; ``ago`` is since when, ``lasts`` until when."""
    now = datetime.now(UTC)
    until = now + changes["lasts"] if "lasts" in changes else None
    with scene.ledger.write() as connection:
        holding.put_on_hold(connection, batch_id, model, reason, "402", until)
        if "ago" in changes:
            this = (hold.c.batch_id == batch_id, hold.c.model == model)
            connection.execute(update(hold).where(*this).values(since=now - changes["ago"]))


def lift(scene: Scene, batch_id: str, model: str = MODEL) -> None:
    """As if it went on by itself."""
    with scene.ledger.write() as connection:
        connection.execute(hold.delete().where(hold.c.batch_id == batch_id, hold.c.model == model))


def tell(scene: Scene, batch_id: str, posted: Posted | None = None) -> list[str]:
    """Claim and mark what is untold; the models that it was about."""
    claimed = claim_notices(scene.ledger, batch_id, scene.worker)
    if claimed:
        mark_noticed(scene.ledger, claimed, {"text": "held"}, None, posted)
    return [each.model for each in claimed]


def later(scene: Scene, by: timedelta) -> None:
    """Let what was told have been told so long ago."""
    with scene.ledger.write() as connection:
        connection.execute(update(notice).values(claimed_at=datetime.now(UTC) - by))


def test_a_hold_is_claimed_once(scene: Scene) -> None:
    """Sixteen workers meet the empty account at the same moment: one tells."""
    batch_id = scene.submit(1)
    put(scene, batch_id)
    told = race(16, lambda _n: claim_notices(scene.ledger, batch_id, scene.worker))
    assert sorted(len(each) for each in told if isinstance(each, list)) == [0] * 15 + [1]
    assert tell(scene, batch_id) == []


def test_models_that_are_held_together_are_told_together(scene: Scene) -> None:
    """In one message, each once."""
    batch_id = scene.submit(1)
    put(scene, batch_id, OTHER_MODEL, Reason.DAY_BUDGET, lasts=SOON)
    put(scene, batch_id)
    assert tell(scene, batch_id) == [MODEL, OTHER_MODEL]
    assert tell(scene, batch_id) == []


@pytest.mark.parametrize("reason", list(Reason))
def test_what_a_person_did_is_no_news(scene: Scene, reason: Reason) -> None:
    """Trouble is told, a pause is not."""
    batch_id = scene.submit(1)
    put(scene, batch_id, WHOLE, reason)
    assert bool(tell(scene, batch_id)) is (reason in TOLD)


@pytest.mark.parametrize("reason", [Reason.BUDGET, Reason.NO_ROOM])
def test_the_budget_is_the_batchs(scene: Scene, reason: Reason) -> None:
    """Its models meet it one after the other, or at once on two workers: one message; the next budget is another."""
    batch_id = scene.submit(1)

    def meet(number: int) -> list[Hold]:
        put(scene, batch_id, (MODEL, OTHER_MODEL)[number], reason)
        return claim_notices(scene.ledger, batch_id, scene.worker)

    claimed = [each for each in race(2, meet) if isinstance(each, list) and each]
    assert len(claimed) == 1
    mark_noticed(scene.ledger, claimed[0], {}, None, None)
    put(scene, batch_id, "a third model", reason)
    assert tell(scene, batch_id) == []
    holding.resume(scene.ledger, batch_id, 10)
    put(scene, batch_id, OTHER_MODEL, reason)
    assert tell(scene, batch_id) == [OTHER_MODEL]


def test_two_workers_with_one_budget_take_turns(postgres_url: str) -> None:
    """On PostgreSQL the second waits for the first to be done, and then finds it told."""
    with closing(Ledger(parse_database_url(postgres_url))) as ledger, ThreadPoolExecutor(1) as pool:
        scene = Scene(ledger)
        batch_id = scene.submit(1)
        for model in (MODEL, OTHER_MODEL):
            put(scene, batch_id, model, Reason.BUDGET)
        (first, _second) = holding.holds(ledger, batch_id)
        with ledger.write() as connection:
            connection.execute(select(batch.c.id).where(batch.c.id == batch_id).with_for_update())
            told = {"batch_id": batch_id, "kind": first.reason, "name": first.model, "since": first.since}
            now = datetime.now(UTC)
            connection.execute(notice.insert().values(**told, worker_id=scene.worker, claimed_at=now, sent_at=now))
            second = pool.submit(claim_notices, ledger, batch_id, scene.worker)
            wait_until(lambda: _waiting(ledger), 10, "the other worker")
        assert second.result(10) == []


def _waiting(ledger: Ledger) -> int:
    """How many transactions wait for another one."""
    with ledger.read() as connection:
        return connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")) or 0


def test_what_begins_again_by_itself_is_told_once_an_hour(scene: Scene) -> None:
    """A provider that comes and goes is one story; if it is held still, or again, after an hour, it is told again."""
    batch_id = scene.submit(1)
    for expected in ([MODEL], [], []):
        put(scene, batch_id, reason=Reason.FAILURES, lasts=SOON)
        assert tell(scene, batch_id) == expected
        lift(scene, batch_id)
    put(scene, batch_id, reason=Reason.FAILURES, lasts=SOON)
    later(scene, timedelta(minutes=61))
    assert tell(scene, batch_id) == [MODEL]


def test_what_a_person_lets_go_on_in_vain_is_told_at_once(scene: Scene) -> None:
    """Whoever has resumed it waits for the answer."""
    batch_id = scene.submit(1)
    put(scene, batch_id)
    assert tell(scene, batch_id) == [MODEL]
    holding.resume(scene.ledger, batch_id)
    put(scene, batch_id)
    assert tell(scene, batch_id) == [MODEL]


def test_the_start_is_told_first_and_the_end_last(scene: Scene) -> None:
    """Whoever is about to say the one keeps the others waiting."""
    batch_id = scene.submit(1)
    start = claim_message(scene.ledger, batch_id, "start", scene.worker)
    assert start is not None
    scene.publish(scene.release(batch_id)[0].ticket)
    put(scene, batch_id)
    assert claim_notices(scene.ledger, batch_id, scene.worker) == []
    mark_sent(scene.ledger, start, {}, None)
    claimed = claim_notices(scene.ledger, batch_id, scene.worker)
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is None
    mark_noticed(scene.ledger, claimed, {}, None, None)
    assert claim_message(scene.ledger, batch_id, "end", scene.worker) is not None


def test_a_teller_that_died_is_followed_by_another(scene: Scene) -> None:
    """The sweep drops its claim and finds the hold untold; what was told, or could not be, stays so."""
    batch_id = scene.submit(1)
    put(scene, batch_id, ago=timedelta(seconds=10))
    assert following.with_news(scene.ledger) == [batch_id]
    assert len(claim_notices(scene.ledger, batch_id, scene.worker)) == 1
    assert following.with_news(scene.ledger) == []
    leases.stop_worker(scene.ledger, scene.worker)
    assert sweeping.forget_unsent_messages(scene.ledger) == 1
    assert following.with_news(scene.ledger) == [batch_id]
    assert tell(scene, batch_id) == [MODEL]
    assert sweeping.forget_unsent_messages(scene.ledger) == 0
    assert following.with_news(scene.ledger) == []


def test_the_sweep_finds_what_was_overlooked_and_is_news(scene: Scene) -> None:
    """Not what somebody has just asked for, nor what is old, nor what a batch that is cancelled still has."""
    fresh, overlooked, old, cancelled = (scene.submit(1) for _ in range(4))
    put(scene, fresh)
    put(scene, overlooked, ago=timedelta(minutes=1))
    put(scene, old, ago=timedelta(hours=25))
    put(scene, cancelled, ago=timedelta(minutes=1))
    holding.cancel(scene.ledger, cancelled)
    assert following.with_news(scene.ledger) == [overlooked]
    assert tell(scene, cancelled) == tell(scene, old) == []


def test_a_notice_is_updated_when_all_of_it_goes_on(scene: Scene) -> None:
    """Once, by one of those who see it; what a webhook has posted cannot be."""
    batch_id, quiet = scene.submit(1), scene.submit(1)
    put(scene, quiet)
    tell(scene, quiet)
    put(scene, batch_id)
    put(scene, batch_id, OTHER_MODEL)
    tell(scene, batch_id, Posted("C1", "1.5"))
    assert following.claim_lifted(scene.ledger, batch_id) == []
    lift(scene, batch_id)
    assert following.with_news(scene.ledger) == [batch_id]
    assert following.claim_lifted(scene.ledger, batch_id) == []
    assert following.with_news(scene.ledger) == [], "half of it is looked at again a minute later"
    lift(scene, batch_id, OTHER_MODEL)
    lift(scene, quiet)
    with scene.ledger.write() as connection:
        connection.execute(update(notice).where(notice.c.posted.is_not(None)).values(update_due_at=datetime.now(UTC)))
    assert following.with_news(scene.ledger) == [batch_id]
    claimed = race(4, lambda _n: following.claim_lifted(scene.ledger, batch_id))
    (mine,) = [one for each in claimed if isinstance(each, list) for one in each]
    assert (mine.posted, mine.message) == (Posted("C1", "1.5"), {"text": "held"})
    following.settle(scene.ledger, mine, {"text": "goes on"}, None)
    assert following.with_news(scene.ledger) == following.claim_lifted(scene.ledger, batch_id) == []
    with scene.ledger.read() as connection:
        open_ = select(func.count()).select_from(notice).where(notice.c.update_due_at.is_not(None))
        assert connection.scalar(open_) == 0
