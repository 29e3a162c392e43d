"""Messages that come twice, too late, or not at all."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from tasks.core import routing
from tasks.core.states import State
from tasks.ledger import reading
from tasks.ledger.schema import image
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, prompt_of, rows
from tests.integration.test_graph import release
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.stand_ins.cms import CmsFault, CmsStandIn
from tests.stand_ins.slack import SlackStandIn
from tests.waiting import wait_until

QUEUE = f"{routing.model_queue('quick')}\x06\x16{routing.LAST}"


class Gate:
    """Lets the calls of a provider wait, each after it has been counted, until it is opened."""

    def __init__(self, api: AnycapApi) -> None:
        self.arrived: list[str] = []
        self.opened = threading.Event()
        api.fault_for = self._wait

    def _wait(self, prompt: str, _number: int) -> Fault | None:
        self.arrived.append(prompt)
        assert self.opened.wait(30)
        return None


def copies(stack: Stack, times: int = 1) -> None:
    """Put every message that waits to be generated into the queue again, as a broker does that is not sure."""
    messages = stack.redis.lrange(QUEUE, 0, -1)
    assert isinstance(messages, list)
    assert messages
    for raw in messages * times:
        message: dict[str, Any] = json.loads(raw)
        message["properties"]["delivery_tag"] = str(uuid.uuid4())
        stack.redis.lpush(QUEUE, json.dumps(message))


def column(stack: Stack, name: str) -> list[Any]:
    """One column of all images, by id."""
    with stack.services.ledger.read() as connection:
        return list(connection.scalars(select(image.c[name]).order_by(image.c.id)))


def log_lines(stack: Stack, words: str) -> int:
    """How many lines of all workers' logs have these words."""
    return sum(words in line for worker in stack.workers for line in worker.words.splitlines())


def test_a_message_that_comes_three_times_is_paid_once(make_stack: MakeStack, api: AnycapApi) -> None:
    """While the first is at work the others give way; the batch is complete and summarised once."""
    gate = Gate(api)
    with SlackStandIn() as slack:
        stack = make_stack(**slack.environment)
        batch_id = release(stack)
        copies(stack, times=2)
        stack.start_worker("one", "-c", "12")
        wait_until(lambda: len(gate.arrived) == 3, what="three calls")
        wait_until(lambda: log_lines(stack, "generate.quick") >= 9, what="nine messages")
        gate.opened.set()
        stack.wait(batch_id)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        assert len(api.charges) == 3
        assert [message["text"][0] for message in slack.messages] == ["✅"]


def test_a_message_that_comes_again_after_the_end_changes_nothing(make_stack: MakeStack, api: AnycapApi) -> None:
    """Everything was done: no call, no upload, no write, no second summary."""
    with CmsStandIn(["cup-0", "cup-1", "cup-2"]) as cms, SlackStandIn() as slack:
        stack = make_stack(**cms.environment, **slack.environment)
        batch_id = release(stack)
        copies(stack)
        kept = stack.redis.lrange(QUEUE, 0, 2)
        assert isinstance(kept, list)
        stack.start_worker()
        stack.wait(batch_id)
        before = (len(api.charges), column(stack, "moved_at"), sum(map(cms.writes, cms.products)))
        done = log_lines(stack, "patch_cms[")
        stack.redis.lpush(QUEUE, *kept)
        wait_until(lambda: log_lines(stack, "patch_cms[") >= done + 6, what="the duplicates' way through the chain")
        assert before == (len(api.charges), column(stack, "moved_at"), sum(map(cms.writes, cms.products)))
        assert len(slack.messages) == 1


def test_a_message_of_an_older_sending_is_out_of_date(stack: Stack, api: AnycapApi) -> None:
    """An image that was sent again is bought by its newest message alone; the old one ends as Superseded."""
    batch_id = release(stack)
    stack.python(
        "from tasks import graph; from tasks.services import current_services;"
        "from tasks.ledger.dispatching import redispatch;"
        "graph.publish(redispatch(current_services().ledger, [1, 2, 3]))"
    )
    stack.start_worker()
    stack.wait(batch_id)
    wait_until(lambda: log_lines(stack, "Superseded") >= 3, what="three messages that are out of date")
    assert len(api.charges) == 3
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}


def check_sent_once(stack: Stack, batch_id: str) -> None:
    """Everything was published by its first message."""
    assert set(column(stack, "dispatch_no")) == {1}, "sent again although nothing was lost"
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}


def test_an_image_that_waits_for_its_models_pace_is_not_sent_again(make_stack: MakeStack, api: AnycapApi) -> None:
    """Silence is not loss: the message waits in a worker's hands for longer than the sweep's patience."""
    stack = make_stack(NERVOUS)
    stack.start_worker()
    batch_id = stack.run(rows(["cup-0", "cup-1", "cup-2"]), model="slow")
    check_sent_once(stack, batch_id)
    assert len(api.charges) == 3


def test_a_write_that_takes_long_is_not_sent_again(make_stack: MakeStack) -> None:
    """A slow CMS is waited for: sending the image again meanwhile would begin all over, for ever."""
    with CmsStandIn(["cup-0"]) as cms:
        cms.script("cup-0", CmsFault(200, delay_seconds=8))
        stack = make_stack(NERVOUS, **cms.environment)
        stack.start_worker()
        batch_id = stack.run(rows(["cup-0"]))
        check_sent_once(stack, batch_id)
        assert cms.writes("cup-0") == 1


def test_a_try_that_is_due_later_is_not_sent_again(make_stack: MakeStack) -> None:
    """The message of a delivery that will be tried again is under way, however long that takes."""
    with CmsStandIn(["cup-0"]) as cms:
        cms.script("cup-0", CmsFault(429, {"Retry-After": "8"}))
        stack = make_stack(NERVOUS, **cms.environment)
        stack.start_worker()
        batch_id = stack.run(rows(["cup-0"]))
        check_sent_once(stack, batch_id)
        assert cms.writes("cup-0") == 2


def lost(stack: Stack) -> None:
    """The broker loses what waits to be generated."""
    assert stack.redis.delete(QUEUE) == 1


def unpublished(stack: Stack) -> None:
    """As if the process had died between writing the ledger and sending."""
    lost(stack)
    for key in stack.redis.scan_iter("celery-taskset-meta-*"):
        stack.redis.delete(key)


def check_found(make_stack: MakeStack, api: AnycapApi, lose: Callable[[Stack], None]) -> None:
    """Everything is published although its messages were lost, by a broker that has been there all the time."""
    stack = make_stack(NERVOUS)
    batch_id = release(stack)
    lose(stack)
    stack.start_worker()
    stack.wait(batch_id, 30)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert sorted(call.prompt for call in api.charges) == sorted(prompt_of(f"cup-{n}") for n in range(3))


def test_lost_messages_are_found(make_stack: MakeStack, api: AnycapApi) -> None:
    """Images whose messages are in no queue and in nobody's hands are sent again after the sweep's patience."""
    check_found(make_stack, api, lost)


def test_messages_that_were_never_sent_are_found(make_stack: MakeStack, api: AnycapApi) -> None:
    """A release that died before it could send is made good, the chord of it included."""
    check_found(make_stack, api, unpublished)


def test_an_order_that_is_delivered_twice_is_one_batch(stack: Stack, api: AnycapApi) -> None:
    """Rows that come with the message are submitted once, however often the broker delivers it."""
    order = {"rows": rows(f"cup-{n}" for n in range(3)), "template": "tiny", "model": "quick"}
    for _ in range(2):
        stack.shop.send_task(routing.START_BATCH, kwargs=order, task_id="order-17", queue=routing.CONTROL_QUEUE)
    worker = stack.start_worker()
    wait_until(lambda: worker.words.count("order-17] succeeded") == 2, 30, "both deliveries")
    (batch,) = reading.list_batches(stack.services.ledger)
    stack.wait(batch.id)
    assert len(reading.list_batches(stack.services.ledger)) == 1
    assert len(api.charges) == 3
