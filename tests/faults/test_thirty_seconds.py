"""How soon a batch goes on after ``kill -9``, with the settings as they are shipped, and without a beat."""

from __future__ import annotations

import threading
import time

import pytest

from tasks.core.states import State
from tests.faults.test_killed_worker import unknown_calls
from tests.integration.conftest import MakeStack
from tests.integration.stack import Stack, prompt_of, rows
from tests.stand_ins.anycap_api import AnycapApi
from tests.waiting import wait_until

PROMISED_SECONDS = 30.0
NAMES = [f"cup-{n}" for n in range(40)]
_NOT_AGAIN = 4
"""First calls that hang until the test ends: in the hands of the one that is killed."""


def hang(api: AnycapApi) -> threading.Event:
    """The first calls of the first rows do not come back; all others do."""
    answer = threading.Event()
    stuck = set(map(prompt_of, NAMES[:_NOT_AGAIN]))
    api.fault_for = lambda prompt, number: None if number > 1 or prompt not in stuck else _wait(answer)
    return answer


def _wait(answer: threading.Event) -> None:
    answer.wait(120)


def seconds_until_in_hand_is_published(stack: Stack, batch_id: str) -> float:
    """From now until one of the pictures that the dead worker was buying is published."""
    began = time.monotonic()

    def published() -> bool:
        states = stack.states(batch_id)
        return any(states[name] == State.PUBLISHED for name in NAMES[:_NOT_AGAIN])

    wait_until(published, 2 * PROMISED_SECONDS, "a picture that the dead worker had in hand")
    return time.monotonic() - began


@pytest.mark.parametrize("others", [0, 1], ids=["the only worker", "one of two"])
def test_goes_on_within_thirty_seconds(make_stack: MakeStack, api: AnycapApi, others: int) -> None:
    """Of a successor's start, or of the death where another worker lives: what was in hand is bought and published."""
    answer = hang(api)
    stack = make_stack()
    doomed = stack.start_worker("doomed")
    batch_id = stack.submit(rows(NAMES))
    stack.start(batch_id)
    wait_until(lambda: stack.counts(batch_id).published == len(NAMES) - _NOT_AGAIN, what="the rest")
    for n in range(others):
        stack.start_worker(f"other-{n}")
    doomed.kill()
    if not others:
        stack.start_worker("successor")
    took_seconds = seconds_until_in_hand_is_published(stack, batch_id)
    assert took_seconds <= PROMISED_SECONDS
    stack.wait(batch_id, 60)
    answer.set()
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert unknown_calls(stack) == _NOT_AGAIN
