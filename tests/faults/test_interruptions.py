"""Interruptions that are nobody's death: a polite stop, a broker that forgets, a machine that sleeps."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sqlite3
import threading
from pathlib import Path

from tasks.core.states import State
from tests.faults.test_killed_worker import unknown_calls
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, Worker, prompt_of, rows
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.waiting import wait_until

NAMES = [f"cup-{n}" for n in range(4)]


def slow_calls(api: AnycapApi, seconds: float) -> None:
    """Make every call take this long."""

    def fault_for(_prompt: str, _number: int) -> Fault | None:
        threading.Event().wait(seconds)
        return None

    api.fault_for = fault_for


def freeze(stack: Stack, worker: Worker) -> None:
    """Stop the process where it is, but not while it holds SQLite's write lock, or its turn: that stops everybody."""
    file = stack.folder / "home" / "ledger.sqlite3"

    def frozen() -> bool:
        os.killpg(worker.process.pid, signal.SIGSTOP)
        try:
            with Path(f"{file}-turn").open() as turn, contextlib.closing(sqlite3.connect(file, timeout=0.2)) as ledger:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                ledger.execute("BEGIN IMMEDIATE")
        except (BlockingIOError, sqlite3.OperationalError):
            os.killpg(worker.process.pid, signal.SIGCONT)
            return False
        return True

    wait_until(frozen, what="a moment without a transaction")


def test_a_polite_stop_loses_nothing(make_stack: MakeStack, api: AnycapApi) -> None:
    """After TERM the calls in flight are finished, although they take longer than a lease; others do the rest."""
    slow_calls(api, 6.0)
    stack = make_stack(NERVOUS)
    first = stack.start_worker("first")
    batch_id = stack.submit(rows(NAMES))
    stack.start(batch_id)
    wait_until(lambda: stack.paid_calls() == len(NAMES), what="four calls in flight")
    first.terminate()
    stack.start_worker("second")
    stack.wait(batch_id, 30)
    first.process.wait(20)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert sorted(call.prompt for call in api.charges) == sorted(map(prompt_of, NAMES))
    assert unknown_calls(stack) == 0


def test_a_broker_that_comes_back_empty(make_stack: MakeStack, api: AnycapApi) -> None:
    """All messages are lost with the broker: the batch is completed from the ledger, and nothing is bought twice."""
    slow_calls(api, 0.3)
    names = [f"cup-{n}" for n in range(40)]
    stack = make_stack(NERVOUS)
    stack.start_worker()
    batch_id = stack.submit(rows(names), model="paced")
    stack.start(batch_id)
    wait_until(lambda: stack.counts(batch_id).published >= 10, what="ten pictures")
    stack.empty_broker()
    stack.wait(batch_id, 40)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert sorted(call.prompt for call in api.charges) == sorted(map(prompt_of, names))


def test_a_machine_that_sleeps(make_stack: MakeStack, api: AnycapApi) -> None:
    """A worker that wakes after its lease has run out settles what it had in flight and goes on."""
    slow_calls(api, 1.0)
    names = [f"cup-{n}" for n in range(24)]
    stack = make_stack(NERVOUS)
    sleeper = stack.start_worker()
    batch_id = stack.submit(rows(names))
    stack.start(batch_id)
    wait_until(lambda: stack.counts(batch_id).published >= 4, what="four pictures")
    freeze(stack, sleeper)
    threading.Event().wait(4.0)  # longer than the lease: what is tested is time itself
    os.killpg(sleeper.process.pid, signal.SIGCONT)
    stack.wait(batch_id, 40)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert sorted(call.prompt for call in api.charges) == sorted(map(prompt_of, names))
    assert unknown_calls(stack) == 0


def test_a_worker_that_was_given_up_comes_back(make_stack: MakeStack, api: AnycapApi) -> None:
    """A worker that was silent for too long is replaced; when it speaks again it may buy again, under a new lease."""
    slow_calls(api, 1.0)
    names = [f"cup-{n}" for n in range(24)]
    stack = make_stack(NERVOUS)
    sleeper = stack.start_worker("sleeper")
    batch_id = stack.submit(rows(names))
    stack.start(batch_id)
    wait_until(lambda: stack.counts(batch_id).published >= 1, what="one picture")
    freeze(stack, sleeper)
    other = stack.start_worker("other")
    wait_until(lambda: stack.counts(batch_id).published >= 17, what="the other worker's pictures")
    os.killpg(sleeper.process.pid, signal.SIGCONT)
    stack.wait(batch_id, 40)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert len(api.charges) <= len(names) + unknown_calls(stack)
    before = unknown_calls(stack)
    other.terminate()
    other.process.wait(20)
    more = stack.run(rows(f"mug-{n}" for n in range(16)), 40)
    assert set(stack.states(more).values()) == {State.PUBLISHED}
    assert unknown_calls(stack) == before
