"""Limits as the other side counts them, with several workers on every pool; changes that last; nothing hoarded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from tasks.core import routing
from tasks.core.states import State
from tasks.ledger.schema import image
from tasks.limits.epoch import broker_epoch
from tests.integration.stack import NERVOUS, Stack, rows
from tests.stand_ins.cms import CmsStandIn
from tests.stand_ins.http_server import Reply, Request
from tests.stand_ins.maker import Counted, Maker
from tests.waiting import wait_until

IMAGECHORD = Path(sys.executable).with_name("imagechord")
MODEL = """
[models.{alias}]
provider = "tests.stand_ins.maker:MakerImages"
model = "{alias}"
price_usd = 0
price_date = 2026-11-01
price_source = "a test"
limits = {limits}
"""
CMS = "[generic]\nper_minute = 600\nin_flight = {}\n"

MakeLimited = Callable[..., Stack]


@pytest.fixture
def maker() -> Iterator[Maker]:
    """Whoever draws the pictures, without a limit of its own."""
    with Maker() as server:
        yield server


@pytest.fixture
def make_limited(tmp_path: Path) -> Iterator[MakeLimited]:
    """Make an installation that asks this maker, with a model for each alias and its limits."""
    with ExitStack() as entered:

        def make(maker: Maker, preferences: str = NERVOUS, *, cms_toml: str = "", **limits: str) -> Stack:
            variables = {name: limits.pop(name) for name in list(limits) if name.isupper()} | maker.environment
            stack = entered.enter_context(Stack(tmp_path / "stack", variables, preferences))
            tables = "".join(MODEL.format(alias=alias, limits=limit) for alias, limit in limits.items())
            (stack.folder / "config" / "models.toml").write_text(tables)
            (stack.folder / "config" / "cms.toml").write_text(cms_toml)
            return stack

        yield make


def batch(stack: Stack, images: int, model: str) -> str:
    """A batch that has been submitted and started."""
    batch_id = stack.submit(rows(f"{model}-{n:03}" for n in range(images)), model=model)
    stack.start(batch_id)
    return batch_id


def imagechord(stack: Stack, *arguments: str) -> str:
    """Run the command; returns what it prints."""
    done = subprocess.run(
        [str(IMAGECHORD), *arguments],
        env=stack.environment,
        cwd=stack.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("pool", ["threads", "prefork", "gevent"])
def test_calls_in_flight_are_counted_over_all_workers(make_limited: MakeLimited, maker: Maker, pool: str) -> None:
    """Two workers with room for eight make four calls at a time together, all the time, and lose no image."""
    maker.latency_seconds = 0.3
    stack = make_limited(maker, four="{ in_flight = 4 }")
    for name in ("one", "two"):
        stack.start_worker(name, "-P", pool, "-c", "4")
    batch_id = batch(stack, 32, "four")
    stack.wait(batch_id)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert len(maker.started) == 32
    assert maker.most_in_flight == 4
    took = maker.started[-1] - maker.started[0]
    assert took < 3 * 32 / 4 * 0.3, "places that become free are used"
    wait_until(lambda: stack.services.limits.state("four").in_flight_now == 0, 5, "every place")


def test_a_day_has_so_many_calls(make_limited: MakeLimited, maker: Maker) -> None:
    """No more are released than today has left; the rest is planned, and other models go on."""
    stack = make_limited(maker, five="{ per_day = 5 }", free="{}")
    stack.start_worker("one")
    stack.start_worker("two")
    batch_id, other = batch(stack, 12, "five"), batch(stack, 10, "free")
    stack.wait(other)
    wait_until(lambda: stack.counts(batch_id).published == 5, 20, "today's five")
    assert sorted(stack.states(batch_id).values()) == [State.PLANNED] * 7 + [State.PUBLISHED] * 5
    assert len(maker.started) == 15


def test_what_the_day_has_no_more_calls_for_waits_in_the_ledger(make_limited: MakeLimited, maker: Maker) -> None:
    """What was sent already is given back, until the provider's midnight; an operator who allows more frees it."""
    stack = make_limited(maker, five='{ day_timezone = "Asia/Seoul" }')
    batch_id = stack.submit(rows(f"cup-{n:03}" for n in range(12)), model="five")
    stack.python(
        "from tasks.services import current_services\nfrom tasks.steps.start_batch import start\n"
        f"from tasks.limiting import broker_epoch\nbroker_epoch(current_services())\n"
        f"start(current_services(), {batch_id!r})\n"
    )
    imagechord(stack, "limits", "five", "--per-day", "5")
    midnight = stack.services.limits.limited["five"].midnight_before(datetime.now(UTC)) + timedelta(days=1)
    stack.start_worker("one")
    stack.start_worker("two")

    def waits() -> list[datetime]:
        waiting = select(image.c.not_before).where(image.c.state == State.PLANNED, image.c.not_before.is_not(None))
        with stack.services.ledger.read() as connection:
            return list(connection.scalars(waiting))

    wait_until(lambda: stack.counts(batch_id).published + len(waits()) == 12, 30, "calls or waits of all")
    assert stack.counts(batch_id).published == 5, stack.last_words()
    assert all(abs(moment - midnight) < timedelta(seconds=30) for moment in waits())
    assert len(maker.started) == 5
    imagechord(stack, "limits", "five", "--per-day", "none")
    stack.wait(batch_id)
    assert len(maker.started) == 12


def test_a_changed_rate_holds_everywhere_and_for_good(make_limited: MakeLimited, maker: Maker) -> None:
    """One worker hears ``celery control``, the other obeys; so does one that starts later, with an emptied broker."""
    stack = make_limited(maker, slow="{ per_minute = 6 }")
    one, two = stack.start_worker("one"), stack.start_worker("two")
    change = f"app.control.rate_limit('imagechord.generate.slow', '3000/m', destination=['{one.hostname}'])"
    stack.python(f"from tasks.celery import app\n{change}")
    wait_until(lambda: stack.services.limits.state("slow").per_minute == 3000, 10, "the change")
    one.stop()
    stack.wait(batch(stack, 30, "slow"), 30)
    two.stop()
    stack.empty_broker()
    three = stack.start_worker("three")
    assert stack.services.limits.state("slow").per_minute == 3000
    asked = f"from tasks.celery import app\nprint(app.control.inspect(['{three.hostname}']).registered('rate_limit'))"
    wait_until(lambda: "imagechord.generate.slow [rate_limit=3000/m]" in stack.python(asked), 20, "the rate in Flower")
    (shown,) = [each for each in json.loads(imagechord(stack, "limits", "--json"))["limits"] if each["name"] == "slow"]
    assert (shown["per_minute"], shown["overridden"], shown["started_today"]) == (3000, ["per_minute"], 30)
    imagechord(stack, "limits", "slow", "--reset")
    assert stack.services.limits.state("slow").per_minute == 6


def test_what_waits_for_a_limit_is_there_for_idle_workers(make_limited: MakeLimited, maker: Maker) -> None:
    """A worker takes no more messages of a limited model than it could use soon: another one finds the rest."""
    maker.gate.clear()
    stack = make_limited(maker, flying="{ in_flight = 2 }", rated="{ per_minute = 6 }")
    stack.start_worker("one", "-c", "4")
    flying, rated = batch(stack, 20, "flying"), batch(stack, 10, "rated")
    wait_until(lambda: maker.in_flight == 3, 20, "the first calls")
    stack.start_worker("two", "-c", "8")
    waiting = stack.redis.llen(f"{routing.model_queue('rated')}\x06\x16{routing.LAST}")
    assert waiting >= 7, "one call was made, and each worker holds one message"
    imagechord(stack, "limits", "flying", "--in-flight", "none")
    wait_until(lambda: maker.in_flight >= 10, 20, "calls of both workers")
    imagechord(stack, "limits", "rated", "--per-minute", "none")
    maker.gate.set()
    for each in (flying, rated):
        stack.wait(each)
    assert len(maker.started) == 30


def test_a_full_pool_asks_for_nothing(make_limited: MakeLimited, maker: Maker) -> None:
    """What a worker cannot start now takes no place in flight: one that has room starts it."""
    maker.gate.clear()
    stack = make_limited(maker, hanging="{}", flying="{ in_flight = 2 }")
    stack.start_worker("one", "-c", "3")
    batch(stack, 10, "flying")
    wait_until(lambda: maker.in_flight == 2, 20, "two calls")
    batch(stack, 1, "hanging")
    wait_until(lambda: maker.in_flight == 3, 20, "the call that fills the pool")
    imagechord(stack, "limits", "flying", "--in-flight", "3")
    stack.start_worker("two", "-c", "3")
    wait_until(lambda: maker.in_flight == 4, 20, "the third call, by the other worker")
    maker.gate.set()


def test_an_emptied_broker_knows_what_is_in_flight(make_limited: MakeLimited, maker: Maker) -> None:
    """Nothing starts before the calls that are under way are known again."""
    maker.gate.clear()
    stack = make_limited(maker, two="{ in_flight = 2, per_day = 100 }")
    stack.start_worker("one")
    stack.start_worker("two")
    batch_id = batch(stack, 8, "two")
    wait_until(lambda: maker.in_flight == 2, 20, "two calls")
    stack.empty_broker()
    wait_until(lambda: broker_epoch(stack.redis) is not None, 20, "the new epoch")
    state = stack.services.limits.state("two")
    assert (state.in_flight_now, state.started_today) == (2, 2)
    queue = f"{routing.model_queue('two')}\x06\x16{routing.LAST}"
    wait_until(lambda: stack.redis.llen(queue) or stack.redis.hlen("unacked") > 2, 30, "messages sent again")
    maker.gate.set()
    stack.wait(batch_id)
    assert maker.most_in_flight == 2
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}


def test_a_limit_that_is_enforced_is_found(make_limited: MakeLimited) -> None:
    """A model that is configured at twice of what its maker allows settles below that, and uses nearly all of it."""
    with Maker(per_minute=600) as maker:
        stack = make_limited(maker, twice="{ per_minute = 1200 }")
        stack.start_worker("one")
        stack.start_worker("two")
        batch_id = batch(stack, 260, "twice")
        stack.wait(batch_id, 90)
        found = stack.services.limits.state("twice").found_per_minute
        said = json.dumps(stack.summary_of(batch_id), ensure_ascii=False)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        settled, last = maker.started[0] + 12, maker.started[-1] - 1
        steady = sum(settled <= moment < last for moment in maker.started)
        refused = sum(settled <= moment < last for moment in maker.refused)
    assert found is not None
    assert 400 < found < 680
    assert "a minute, 1,200 are configured" in said, "somebody should set it right"
    assert steady / (last - settled) >= 0.8 * 10.0
    assert refused <= 0.06 * steady


class CountedCms(Counted, CmsStandIn):
    """A CMS that counts its writes, and answers the first of them 503 with ``Retry-After`` when ``busy``."""

    def __init__(self, *, latency_seconds: float, busy: bool = False) -> None:
        super().__init__(latency_seconds=latency_seconds, any_product=True)
        self.busy = busy

    def answer(self, request: Request) -> Reply:
        """As the CMS would."""
        if self.busy:
            self.busy = False
            return Reply(503, headers={"Retry-After": "3"})
        return CmsStandIn.answer(self, request)


def test_the_cms_is_written_to_as_it_can_bear(make_limited: MakeLimited, maker: Maker) -> None:
    """Its limits hold over all workers."""
    with CountedCms(latency_seconds=0.2) as cms:
        stack = make_limited(maker, cms_toml=CMS.format(2), free="{}", **cms.environment)
        stack.start_worker("one")
        stack.start_worker("two")
        batch_id = batch(stack, 40, "free")
        stack.wait(batch_id)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        assert len(cms.started) == 40
        assert cms.most_in_flight == 2
        assert stack.services.limits.state("cms").started_today == 40
    generated = sorted(maker.started)
    assert generated[-1] < cms.started[len(cms.started) // 2], "buying did not wait for the CMS"


def test_a_cms_that_asks_for_a_pause_gets_it(make_limited: MakeLimited, maker: Maker) -> None:
    """After a 503 with ``Retry-After`` no worker writes before that, and everything is published then."""
    with CountedCms(latency_seconds=0.0, busy=True) as cms:
        stack = make_limited(maker, cms_toml=CMS.format(1), free="{}", **cms.environment)
        stack.start_worker("one")
        stack.start_worker("two")
        batch_id = batch(stack, 10, "free")
        stack.wait(batch_id)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        assert cms.started[1] - cms.started[0] > 2.5
        assert len(cms.started) == 11
