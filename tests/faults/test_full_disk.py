"""A disk without room for what is bought: nothing more is bought, nothing fails, and a person goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import func, select

from tasks.core.holds import Reason
from tasks.core.states import State
from tasks.ledger import holding
from tasks.ledger.schema import attempt
from tests.faults.test_ledger_trouble import full_disk, pass_time
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, rows
from tests.integration.test_cluster_limits import MODEL
from tests.stand_ins.maker import Maker
from tests.waiting import wait_until

NAMES = [f"cup-{n}" for n in range(24)]
IN_FLIGHT = 4


@pytest.fixture
def maker() -> Iterator[Maker]:
    """Whoever draws the pictures, and counts them; over the network alone."""
    with Maker(latency_seconds=0.5) as server:
        yield server


def buy_from(stack: Stack, maker: Maker) -> None:
    """Put a model of this maker into the catalogue, for at most four calls at the same time."""
    limits = f"{{ in_flight = {IN_FLIGHT} }}"
    (stack.folder / "config" / "models.toml").write_text(MODEL.format(alias="maker", limits=limits))


def bought_into_the_void(stack: Stack) -> int:
    """Calls whose picture could not be kept."""
    with stack.services.ledger.read() as connection:
        return connection.scalar(select(func.count()).where(attempt.c.outcome == "overloaded")) or 0


def test_no_room_for_what_was_bought(make_stack: MakeStack, maker: Maker, postgres_url: str) -> None:
    """The calls in flight find out, no others; what is paid for waits for its upload; the batch goes on after it."""
    stack = make_stack(NERVOUS, IMAGECHORD_DATABASE_URL=postgres_url, **maker.environment)
    buy_from(stack, maker)
    stack.python("import sys; sys.argv = ['imagechord', 'migrate']; from tasks.cli.main import main; main()")
    workers = [stack.start_worker(name) for name in ("one", "two")]
    batch_id = stack.submit(rows(NAMES), model="maker")
    stack.start(batch_id)
    wait_until(lambda: stack.counts(batch_id).published >= 4, what="four pictures")
    with full_disk(*workers):
        wait_until(lambda: bought_into_the_void(stack) and maker.in_flight == 0, what="the calls that find out")
        called = len(maker.started)
        pass_time(5.0)
        assert len(maker.started) == called < len(NAMES)
        counts = stack.counts(batch_id).counts
        assert {State.FAILED, State.GENERATING, State.UNKNOWN}.isdisjoint(counts)
        lost = bought_into_the_void(stack)
        assert 1 <= lost <= IN_FLIGHT
        (hold,) = holding.holds(stack.services.ledger, batch_id)
        assert hold.reason is Reason.NO_ROOM
        assert f"bought, but staging failed: the disk of {stack.folder / 'home' / 'staging'} is full" in hold.message
    holding.resume(stack.services.ledger, batch_id)
    wait_until(lambda: stack.counts(batch_id).published == len(NAMES), 60, "all pictures")
    assert len(maker.started) == len(NAMES) + lost


def test_too_little_room_to_begin_with(make_stack: MakeStack, maker: Maker) -> None:
    """Nothing is called, and nothing counted as spent: the batch waits, says which disk, and goes on after it."""
    preferences = NERVOUS + "min_free_disk_megabytes = {}\n"
    stack = make_stack(preferences.format(10**12), **maker.environment)
    buy_from(stack, maker)
    worker = stack.start_worker("one")
    batch_id = stack.run(rows(NAMES), model="maker")
    assert set(stack.states(batch_id).values()) == {State.HELD}
    (hold,) = holding.holds(stack.services.ledger, batch_id)
    assert hold.reason is Reason.NO_ROOM
    assert f"nothing was bought: the disk of {stack.folder / 'home' / 'staging'} is nearly full" in hold.message
    assert maker.requests == []
    assert stack.counts(batch_id).spent_usd_micros == 0
    worker.stop()
    (stack.folder / "config" / "imagechord.toml").write_text('language = "en"\n' + preferences.format(0))
    stack.start_worker("two")
    assert holding.resume(stack.services.ledger, batch_id) == len(NAMES)
    wait_until(lambda: stack.counts(batch_id).published == len(NAMES), 60, "all pictures")
    assert len(maker.requests) == len(NAMES)
