"""A broker that restarts, refuses, resets, falls silent or forgets: the batch goes on, and the workers live on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import select

from tasks.core.states import State
from tasks.ledger.schema import worker
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, Worker, prompt_of, rows
from tests.stand_ins.anycap_api import AnycapApi
from tests.stand_ins.fault_proxy import FaultProxy
from tests.stand_ins.slack import SlackStandIn
from tests.stand_ins.valkey import ValkeyServer, valkey
from tests.waiting import wait_until

NAMES = [f"cup-{n}" for n in range(40)]
HEALED_WITHIN_SECONDS = 40.0
OUTAGE_SECONDS = 10.0
ALREADY_GRANTED_SECONDS = 4.0
"""A right to call that a worker got before the outage is good for 3 s; a program has to start after that."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A broker that keeps its data."""
    with valkey(tmp_path / "broker") as server:
        yield server


@pytest.fixture
def network(broker: ValkeyServer) -> Iterator[FaultProxy]:
    """What is between the workers and the broker."""
    with FaultProxy(broker.address) as proxy:
        yield proxy


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    """Counts the summaries."""
    with SlackStandIn() as server:
        yield server


class Running:
    """A batch of 40 paced pictures on two workers, with ten pictures out."""

    def __init__(
        self, make_stack: MakeStack, api: AnycapApi, slack: SlackStandIn, url: str = "", preferences: str = NERVOUS
    ) -> None:
        variables = {"IMAGECHORD_REDIS_URL": url} if url else {}
        self.api, self.slack = api, slack
        self.stack: Stack = make_stack(preferences, **variables, **slack.environment)
        self.workers: list[Worker] = [self.stack.start_worker(name) for name in ("one", "two")]
        self.batch_id = self.stack.submit(rows(NAMES), model="paced")
        self.stack.start(self.batch_id)
        wait_until(lambda: self.published >= 10, what="ten pictures")

    @property
    def published(self) -> int:
        """How many are out."""
        return self.stack.counts(self.batch_id).published

    @property
    def steady_since(self) -> list[datetime]:
        """Since when each worker has been beating without a gap for which it could be taken for dead."""
        with self.stack.services.ledger.read() as connection:
            return list(connection.scalars(select(worker.c.steady_since).order_by(worker.c.id)))

    def check_completed(self) -> None:
        """Everything is published, bought once and said once, by the workers that were there before."""
        self.stack.wait(self.batch_id, HEALED_WITHIN_SECONDS)
        assert set(self.stack.states(self.batch_id).values()) == {State.PUBLISHED}
        assert sorted(call.prompt for call in self.api.charges) == sorted(map(prompt_of, NAMES))
        assert [each.process.poll() for each in self.workers] == [None, None]
        assert [message["text"][0] for message in self.slack.messages] == ["🚀", "✅"]


def test_a_restart_with_its_data(
    make_stack: MakeStack, api: AnycapApi, slack: SlackStandIn, broker: ValkeyServer
) -> None:
    """A broker that is killed and comes back with what it had: nobody does anything twice."""
    running = Running(make_stack, api, slack, broker.url)
    broker.kill()
    broker.start()
    running.check_completed()


def test_a_restart_without_its_data(
    make_stack: MakeStack, api: AnycapApi, slack: SlackStandIn, broker: ValkeyServer
) -> None:
    """A broker that is killed and comes back with nothing: the ledger knows what is left to do."""
    running = Running(make_stack, api, slack, broker.url)
    broker.kill()
    broker.forget()
    broker.start()
    running.check_completed()


def test_nothing_is_bought_while_connections_are_refused(
    make_stack: MakeStack, api: AnycapApi, slack: SlackStandIn, network: FaultProxy
) -> None:
    """Ten seconds without the limiter: no paid call, although messages are in the workers' hands; then it goes on."""
    running = Running(make_stack, api, slack, f"redis://127.0.0.1:{network.port}/0")
    with network.refusing():
        before = charges_once_granted_calls_are_over(api)
        threading.Event().wait(OUTAGE_SECONDS - ALREADY_GRANTED_SECONDS)  # what is tested is time itself
        assert len(api.calls) == before
    assert before < len(NAMES), "too late to tell anything"
    running.check_completed()


def test_nothing_is_bought_while_the_broker_is_silent(
    make_stack: MakeStack, api: AnycapApi, slack: SlackStandIn, network: FaultProxy
) -> None:
    """Connections that stay open and carry nothing are no different, and no heartbeat waits for an answer."""
    steadier = NERVOUS.replace("heartbeat_expires_seconds = 3.0", "heartbeat_expires_seconds = 5.0")
    running = Running(make_stack, api, slack, f"redis://127.0.0.1:{network.port}/0", steadier)
    steady_since = running.steady_since
    with network.stalled():
        before = charges_once_granted_calls_are_over(api)
        threading.Event().wait(OUTAGE_SECONDS - ALREADY_GRANTED_SECONDS)  # what is tested is time itself
        assert len(api.calls) == before
    assert running.steady_since == steady_since
    assert "limiter of paced: Redis does not answer, nothing starts" in running.workers[0].words
    assert before < len(NAMES), "too late to tell anything"
    running.check_completed()


def charges_once_granted_calls_are_over(api: AnycapApi) -> int:
    """How many calls there have been when those are made that were granted before the outage."""
    threading.Event().wait(ALREADY_GRANTED_SECONDS)  # what is tested is time itself
    return len(api.calls)


def test_connections_that_are_cut_again_and_again(
    make_stack: MakeStack, api: AnycapApi, slack: SlackStandIn, network: FaultProxy
) -> None:
    """Resets in the middle of whatever is under way: lost messages are sent again, and nothing is bought again."""
    running = Running(make_stack, api, slack, f"redis://127.0.0.1:{network.port}/0")
    for published in (12, 16, 20, 24, 28):
        wait_until(lambda enough=published: running.published >= enough, 30, "progress")
        assert network.reset() > 0
    running.check_completed()


def test_results_that_expire(make_stack: MakeStack, api: AnycapApi, slack: SlackStandIn) -> None:
    """Without the chords' counts no callback comes: the ledger judges when the batch is over."""
    running = Running(make_stack, api, slack)
    while running.published < 36:
        found = cast("list[bytes]", running.stack.redis.keys("celery-task*"))
        if found:
            running.stack.redis.delete(*found)
        threading.Event().wait(0.2)  # again and again: new ones come with each wave
    running.check_completed()


def test_a_worker_that_starts_before_its_broker(make_stack: MakeStack, network: FaultProxy) -> None:
    """It says what it waits for, and begins when the broker is there."""
    stack = make_stack(NERVOUS, IMAGECHORD_REDIS_URL=f"redis://127.0.0.1:{network.port}/0")
    with network.refusing():
        early = Worker(stack, "early", ())
        stack.workers.append(early)
        wait_until(lambda: "cannot start yet" in early.words, 30, "what it waits for")
        assert early.process.poll() is None
    batch_id = stack.run(rows(NAMES[:4]))
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}


def test_a_worker_that_waits_for_its_broker_can_be_stopped(make_stack: MakeStack, network: FaultProxy) -> None:
    """TERM ends it, although nothing has begun."""
    stack = make_stack(NERVOUS, IMAGECHORD_REDIS_URL=f"redis://127.0.0.1:{network.port}/0")
    with network.refusing():
        early = Worker(stack, "early", ())
        stack.workers.append(early)
        wait_until(lambda: "cannot start yet" in early.words, 30, "what it waits for")
        early.terminate()
        early.process.wait(10)
