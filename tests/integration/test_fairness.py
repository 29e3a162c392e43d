"""Batches that share a model share its pace, and what waits or fails does not stand in anybody's way."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update

from tasks.core.states import State
from tasks.ledger.schema import batch
from tests.integration.conftest import MakeStack
from tests.integration.stack import PATIENT, Stack, prompt_of, rows
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.waiting import wait_until

WITHOUT_SWEEP = PATIENT + "sweep_every_seconds = 3600.0\n"


def submit(stack: Stack, name: str, images: int, priority: str = "normal", **options: Any) -> str:
    """A batch of so many images, whose names begin with its own."""
    batch_id = stack.submit(rows(f"{name}-{n}" for n in range(images)), **options)
    with stack.services.ledger.write() as connection:
        connection.execute(update(batch).where(batch.c.id == batch_id).values(priority=priority))
    return batch_id


def calls(api: AnycapApi, name: str) -> int:
    """How many of a batch's images have been asked for."""
    return sum(call.prompt.startswith(prompt_of(name)[:-1]) for call in list(api.calls))


def test_a_small_batch_behind_a_large_one_is_soon_done(make_stack: MakeStack, api: AnycapApi) -> None:
    """Ten images behind six hundred, on a model of 600 a minute: done within 10 s of its pace, 100 images."""
    stack = make_stack(WITHOUT_SWEEP)
    stack.start_worker("one")
    stack.start_worker("two")
    large = submit(stack, "large", 600, model="paced")
    stack.start(large)
    wait_until(lambda: calls(api, "large") >= 20, 30, "the large batch under way")
    small = submit(stack, "small", 10, model="paced")
    before = calls(api, "large")
    stack.start(small)
    stack.wait(small, 60)
    assert set(stack.states(small).values()) == {State.PUBLISHED}
    assert calls(api, "large") - before <= 90


def test_a_higher_priority_gets_more_of_the_pace(make_stack: MakeStack, api: AnycapApi) -> None:
    """Of two batches that come together, the one of high priority is done while most of the other waits."""
    stack = make_stack(WITHOUT_SWEEP)
    normal = submit(stack, "normal", 200, model="paced")
    high = submit(stack, "high", 120, "high", model="paced")
    stack.start(normal)
    stack.start(high)
    stack.start_worker()
    stack.wait(high, 90)
    assert calls(api, "high") == 120
    assert 1 <= calls(api, "normal") <= 100


def test_images_that_wait_for_their_next_try_do_not_starve_the_queue(make_stack: MakeStack, api: AnycapApi) -> None:
    """A window full of images whose next try is seconds away: the others are bought meanwhile."""
    api.fault_for = lambda prompt, n: Fault.SERVER_ERROR if "bad" in prompt and n <= 2 else None
    stack = make_stack(WITHOUT_SWEEP + "wave_max_images = 10\n")
    names = [f"bad-{n}" for n in range(10)] + [f"good-{n}" for n in range(60)]
    batch_id = stack.submit(rows(names))
    stack.start(batch_id)
    stack.start_worker()
    stack.wait(batch_id, 60)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    # Each bad image is tried again after 2 s at the earliest, and then after 4 s.
    prompts = [call.prompt for call in api.calls]
    third = min(n for n, call in enumerate(api.calls) if "bad" in call.prompt and call.number == 3)
    assert sum("good" in prompt for prompt in prompts[:third]) > 10
