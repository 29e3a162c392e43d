"""A person stops a batch, changes it and goes on, while real workers work on it: no picture is paid for twice."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tasks import retrying
from tasks.core.selection import Edit, Selection
from tasks.core.states import State
from tasks.ledger import holding
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, PATIENT, Stack, prompt_of, rows
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.stand_ins.cms import CmsStandIn
from tests.stand_ins.slack import SlackStandIn
from tests.waiting import wait_until

NAMES = [f"cup-{number}" for number in range(60)]
FEW = NAMES[:6]
CALL_SECONDS = 0.1


class Clock:
    """A server whose calls take a while; ``asked_at`` are the moments at which they came."""

    def __init__(self) -> None:
        self.asked_at: list[float] = []

    def __call__(self, _prompt: str, _number: int) -> Fault | None:
        self.asked_at.append(time.monotonic())
        time.sleep(CALL_SECONDS)
        return None


@pytest.fixture
def clock(api: AnycapApi) -> Clock:
    """What the server's calls go by."""
    api.fault_for = clock = Clock()
    return clock


def each_once(api: AnycapApi) -> bool:
    """Whether every prompt that was paid for was paid for once."""
    return set(Counter(charge.prompt for charge in api.charges).values()) == {1}


@pytest.mark.parametrize("stop", [holding.pause, holding.cancel])
def test_spending_stops_within_a_second(make_stack: MakeStack, api: AnycapApi, clock: Clock, stop: object) -> None:
    """Of a pause and of a cancellation: calls in flight are settled, none begins later; going on buys only the rest."""
    stack = make_stack(NERVOUS)
    stack.start_worker("one")
    stack.start_worker("two")
    batch_id = stack.submit(rows(NAMES))
    stack.start(batch_id)
    wait_until(lambda: len(api.charges) >= 10, 30, "ten pictures")

    assert callable(stop)
    stop(stack.services.ledger, batch_id)
    stopped_at = time.monotonic()
    stack.wait(batch_id)

    assert max(clock.asked_at) < stopped_at + 1.0
    paid = len(api.charges)
    assert paid < len(NAMES)
    cancelled = stop is holding.cancel
    counts = stack.counts(batch_id).counts
    assert set(counts) <= {State.PUBLISHED, State.CANCELLED if cancelled else State.HELD}
    assert sum(counts.values()) == len(NAMES)
    assert stack.counts(batch_id).spent_usd_micros == paid * 30_000

    if cancelled:
        retrying.retry(stack.services, batch_id, Selection.of("cancelled"))
    else:
        assert holding.resume(stack.services.ledger, batch_id) == counts[State.HELD]
    stack.start(batch_id)
    stack.wait(batch_id)
    assert stack.counts(batch_id).counts == {State.PUBLISHED: len(NAMES)}
    assert stack.counts(batch_id).round == 2
    assert each_once(api)
    assert len(api.charges) == len(NAMES)


def test_only_what_failed_is_bought_again(stack: Stack, api: AnycapApi) -> None:
    """The second round begins and ends with a message of its own; published pictures are not touched."""
    api.fault_for = lambda prompt, number: Fault.INVALID_PARAM if prompt == prompt_of("cup-1") and number == 1 else None
    stack.start_worker()
    batch_id = stack.run(rows(FEW))
    assert stack.states(batch_id)["cup-1"] is State.FAILED

    assert retrying.retry(stack.services, batch_id, Selection.of("failed")).images == 1
    stack.start(batch_id)
    stack.wait(batch_id)

    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert Counter(call.prompt for call in api.calls) == {prompt_of(n): 1 + (n == "cup-1") for n in FEW}
    assert each_once(api)


def test_another_model_buys_what_the_first_refused(stack: Stack, api: AnycapApi) -> None:
    """Its own picture, from its own queue."""
    api.fault_for = lambda prompt, number: Fault.CONTENT_REJECTED if number == 1 and "cup-2" in prompt else None
    stack.start_worker()
    batch_id = stack.run(rows(FEW))
    assert stack.states(batch_id)["cup-2"] is State.REFUSED

    retrying.retry(stack.services, batch_id, Selection(), Edit(model="other"))
    stack.start(batch_id)
    stack.wait(batch_id)

    image = stack.images(batch_id)["cup-2"]
    assert (image.state, image.model) == (State.PUBLISHED, "other")
    assert [call.model for call in api.charges if call.prompt == prompt_of("cup-2")] == ["other-1"]


def test_a_person_looks_before_the_cms_is_written(make_stack: MakeStack, api: AnycapApi) -> None:
    """All pictures are bought and public, nothing is in the CMS until somebody says so, and each is written once."""
    with CmsStandIn(FEW) as cms, SlackStandIn() as slack:
        stack = make_stack(**cms.environment, **slack.environment)
        stack.start_worker()
        batch_id = stack.run(rows(FEW), hold_publish=True)
        assert stack.counts(batch_id).counts == {State.HELD: len(FEW)}
        assert all(view.public_url for view in stack.images(batch_id).values())
        assert set(cms.products.values()) == {None}
        assert f"imagechord publish {batch_id}" in str(slack.messages[-1])

        assert holding.publish_held(stack.services.ledger, batch_id, ["cup-3"]) == 1
        stack.start(batch_id)
        stack.wait(batch_id)
        assert {sku for sku, url in cms.products.items() if url} == {"cup-3"}

        assert holding.publish_held(stack.services.ledger, batch_id) == len(FEW) - 1
        stack.start(batch_id)
        stack.wait(batch_id)
        assert stack.counts(batch_id).counts == {State.PUBLISHED: len(FEW)}
        assert all(cms.products.values())
    assert len(api.charges) == len(FEW)
    assert [message["text"][0] for message in slack.messages] == ["🚀", "⚠", "🚀", "⚠", "🚀", "✅"]


def test_pictures_that_were_bought_before_wait_for_a_look_too(make_stack: MakeStack, api: AnycapApi) -> None:
    """More of them than one wave holds: nothing but uploads lets the next wave go, long before a sweep."""
    names = [f"mug-{number}" for number in range(40)]
    stack = make_stack(PATIENT + "wave_max_images = 10\nsweep_every_seconds = 300.0\n")
    stack.start_worker()
    stack.run(rows(names))
    batch_id = stack.run(rows(names), hold_publish=True)
    assert stack.counts(batch_id).counts == {State.HELD: len(names)}
    assert len(api.charges) == len(names)


def test_the_python_functions_do_the_same(stack: Stack, api: AnycapApi) -> None:
    """Each is one call, tells the workers itself, and ``wait`` waits for the end of the new round."""
    api.fault_for = lambda prompt, number: Fault.INVALID_PARAM if prompt == prompt_of("cup-1") and number == 1 else None
    stack.start_worker()
    told = stack.python(
        "from tasks import batches\n"
        "from tasks.core.errors import InputError\n"
        "batch = batches.submit([{'sku': f'cup-{n}', 'name': f'cup-{n}'} for n in range(3)], template='tiny',"
        " model='quick', hold_publish=True)\n"
        "print(batches.wait(batch, 30).counts)\n"
        "print(batches.retry(batch, only='failed'), batches.wait(batch, 30).counts)\n"
        "print(batches.publish(batch, keys=['cup-0']), batches.wait(batch, 30).counts)\n"
        "batches.cancel(batch)\n"
        "print(batches.wait(batch, 30).counts)\n"
        "print(batches.retry(batch, only='cancelled'), batches.wait(batch, 30).counts)\n"
        "batches.pause(batch)\n"
        "print(batches.resume(batch, budget_usd=5), batches.publish(batch), batches.wait(batch, 30).published)\n"
        "try:\n    batches.pause('b-0')\nexcept InputError as error:\n    print(error)\n"
    )
    lines = [line.replace("State.", "") for line in told.splitlines()]
    assert "HELD: 'held'>: 2" in lines[0]
    assert "FAILED: 'failed'>: 1" in lines[0]
    assert lines[1].startswith("1 ")
    assert "HELD: 'held'>: 3" in lines[1]
    assert lines[2].startswith("1 ")
    assert "PUBLISHED: 'published'>: 1" in lines[2]
    assert "CANCELLED: 'cancelled'>: 2" in lines[3]
    assert lines[4].startswith("2 ")
    assert "HELD: 'held'>: 2" in lines[4]
    assert lines[5] == "0 2 3"
    assert "no batch 'b-0'" in lines[6]
    assert each_once(api)
