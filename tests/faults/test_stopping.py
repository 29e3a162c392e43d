"""A worker that is told to stop, and told again: nothing that was paid for is lost, and nobody waits for a lease."""

from __future__ import annotations

import signal
import threading

import pytest

from tasks.core.states import State
from tests.faults.test_interruptions import NAMES, slow_calls
from tests.faults.test_killed_worker import unknown_calls
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, Worker, prompt_of, rows
from tests.stand_ins.anycap_api import AnycapApi
from tests.stand_ins.cms import CmsFault, CmsStandIn
from tests.waiting import wait_until

LONG_LEASE = NERVOUS.replace("heartbeat_expires_seconds = 3.0", "heartbeat_expires_seconds = 120.0")
"""So that a successor that goes on has not waited for it."""

GONE_WITHIN_SECONDS = 15.0
"""Two seconds, on a machine with nothing else to do. The calls in flight take longer than this."""


def stuck_in_calls(stack: Stack, api: AnycapApi, *options: str) -> tuple[Worker, str, threading.Event]:
    """A worker whose four calls have been charged and do not come back before the event is set."""
    answer = threading.Event()
    arrived = set()

    def fault_for(prompt: str, number: int) -> None:
        if number == 1:
            arrived.add(prompt)
            answer.wait(90)

    api.fault_for = fault_for
    worker = stack.start_worker("first", *options)
    batch_id = stack.submit(rows(NAMES))
    stack.start(batch_id)
    wait_until(lambda: arrived == set(map(prompt_of, NAMES)), what="four calls at the provider")
    return worker, batch_id, answer


def check_taken_over(stack: Stack, api: AnycapApi, batch_id: str) -> None:
    """The calls in flight, and only they, were made twice at most; everything is published."""
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert unknown_calls(stack) == len(NAMES)
    assert len(api.charges) <= 2 * len(NAMES)


@pytest.mark.parametrize(
    ("pool", "signals"),
    [
        ("threads", (signal.SIGTERM, signal.SIGTERM)),
        ("threads", (signal.SIGINT, signal.SIGINT)),
        ("threads", (signal.SIGQUIT,)),
        ("prefork", (signal.SIGTERM, signal.SIGTERM)),
        ("gevent", (signal.SIGTERM, signal.SIGTERM)),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(each.name for each in value),
)
def test_told_twice(make_stack: MakeStack, api: AnycapApi, pool: str, signals: tuple[signal.Signals, ...]) -> None:
    """It ends in the middle of its calls, and the next worker goes on without waiting for the lease."""
    stack = make_stack(LONG_LEASE)
    worker, batch_id, answer = stuck_in_calls(stack, api, "-P", pool, "-c", "4")
    worker.process.send_signal(signals[0])
    for again in signals[1:]:
        wait_until(lambda: "shutdown (MainProcess)" in worker.words, what="the first signal's effect")
        worker.process.send_signal(again)
    worker.process.wait(GONE_WITHIN_SECONDS)
    assert not answer.is_set()
    stack.start_worker("second")
    stack.wait(batch_id, 40)
    answer.set()
    check_taken_over(stack, api, batch_id)


def test_told_once_and_too_slow(make_stack: MakeStack, api: AnycapApi) -> None:
    """``stop_within_seconds`` after the first TERM it does what it would at the second."""
    stack = make_stack(LONG_LEASE + "stop_within_seconds = 1.0\n")
    worker, batch_id, answer = stuck_in_calls(stack, api)
    worker.terminate()
    worker.process.wait(GONE_WITHIN_SECONDS)
    assert "it is not done after 1 s" in worker.words
    stack.start_worker("second")
    stack.wait(batch_id, 40)
    answer.set()
    check_taken_over(stack, api, batch_id)


def test_stopping_without_a_broker(make_stack: MakeStack, api: AnycapApi) -> None:
    """With the broker gone for good the calls in flight are settled, and then the worker ends."""
    slow_calls(api, 3.0)
    stack = make_stack(LONG_LEASE)
    worker = stack.start_worker()
    batch_id = stack.submit(rows(NAMES))
    stack.start(batch_id)
    wait_until(lambda: stack.paid_calls() == len(NAMES), what="four calls in flight")
    process = stack.valkey._process
    assert process is not None
    process.kill()
    process.wait()
    worker.terminate()
    worker.process.wait(60)
    assert set(stack.states(batch_id).values()) == {State.GENERATED}
    stack.valkey.__enter__()
    stack.start_worker("second")
    stack.wait(batch_id, 40)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert len(api.charges) == len(NAMES)


def test_messages_in_hand_are_not_lost_with_it(make_stack: MakeStack, api: AnycapApi) -> None:
    """What waits in it for its next try is sent again at once, hours before the broker would give it back."""
    names = NAMES[:3]
    with CmsStandIn(names) as cms:
        for name in names:
            cms.script(name, *[CmsFault(503)] * 3)
        stack = make_stack(LONG_LEASE, **cms.environment)
        worker = stack.start_worker("first")
        batch_id = stack.submit(rows(names))
        stack.start(batch_id)
        wait_until(lambda: worker.words.count("Retry in ") >= 3 * len(names), what="tries, the next one 8 s away")
        wait_until(lambda: stack.redis.hlen("unacked") >= len(names), what="messages in hand")
        worker.process.send_signal(signal.SIGQUIT)
        worker.process.wait(GONE_WITHIN_SECONDS)
        stack.start_worker("second")
        stack.wait(batch_id, 40)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert len(api.charges) == len(names)
