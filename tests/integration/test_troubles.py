"""Trouble that is bigger than one image: a dead Slack, an empty account, a model that is too busy, our own bugs."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise

import pytest
from sqlalchemy import update

from tasks.core.errors import ErrorClass
from tasks.core.states import State
from tasks.ledger import summing
from tasks.ledger.schema import image
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, prompt_of, rows
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.stand_ins.http_server import Reply
from tests.stand_ins.ports import free_ports
from tests.stand_ins.slack import SlackStandIn
from tests.waiting import wait_until

NAMES = [f"cup-{n}" for n in range(6)]


def check_not_delayed(stack: Stack, seconds: float) -> str:
    """The batch rests within this time, whatever Slack does; returns the batch's id once the summary is recorded."""
    stack.start_worker()
    batch_id = stack.submit(rows(NAMES))
    began = time.monotonic()
    stack.start(batch_id)
    wait_until(lambda: stack.counts(batch_id).published == len(NAMES), seconds, "the batch")
    assert time.monotonic() - began < seconds
    stack.wait(batch_id)
    return batch_id


def recorded_error(stack: Stack, batch_id: str) -> str:
    """What the ledger says of the summary's fate."""
    sent = stack.summary_of(batch_id)
    assert sent is not None
    assert sent["message"]["text"].startswith("✅")
    return str(sent["error"])


def test_a_slack_that_is_not_there(make_stack: MakeStack) -> None:
    """A refused connection is recorded, and the batch is as good as ever."""
    (port,) = free_ports(1)
    stack = make_stack(SLACK_WEBHOOK_URL=f"http://127.0.0.1:{port}/services/T/B/secret")
    batch_id = check_not_delayed(stack, 5)
    assert "cannot be reached" in recorded_error(stack, batch_id)
    assert "secret" not in recorded_error(stack, batch_id)


def test_a_slack_that_is_slow(make_stack: MakeStack) -> None:
    """Ten seconds of silence do not hold the images up; the summary comes after the start all the same."""
    with SlackStandIn(Reply(delay_seconds=11)) as slack:
        stack = make_stack(**slack.environment)
        batch_id = check_not_delayed(stack, 5)
        assert recorded_error(stack, batch_id) == "None"
        assert [message["text"][0] for message in slack.messages] == ["✅"]
        start = summing.sent_message(stack.services.ledger, batch_id, "start")
        assert start is not None
        assert "did not answer" in start["error"]


def test_a_slack_that_fails(make_stack: MakeStack) -> None:
    """A 500 is recorded, and the message is not sent twice."""
    with SlackStandIn(Reply(500, "oops"), Reply(500, "oops")) as slack:
        stack = make_stack(**slack.environment)
        batch_id = check_not_delayed(stack, 5)
        assert "500" in recorded_error(stack, batch_id)
        assert len(slack.requests) == 2


def test_an_empty_account_holds_the_model_and_nothing_else(make_stack: MakeStack, api: AnycapApi) -> None:
    """After a 402 the model's other images wait for a person instead of finding out one by one; other models go on."""
    api.fault_for = lambda prompt, _number: Fault.NO_CREDIT if "poor" in prompt else None
    poor = [f"poor-{n}" for n in range(40)]
    with SlackStandIn() as slack:
        stack = make_stack(**slack.environment)
        stack.start_worker()
        source = rows(poor, model="quick") + rows(NAMES, model="other")
        batch_id = stack.run(source, model=None)
        states = stack.states(batch_id)
        assert Counter(states.values()) == {State.HELD: len(poor), State.PUBLISHED: len(NAMES)}
        assert {stack.images(batch_id)[name].error_class for name in poor} == {ErrorClass.ACCOUNT}
        asked = sum(call.prompt in map(prompt_of, poor) for call in api.calls)
        assert asked <= 10, "no more than were in flight, or on their way, when the first answer came"
        counts = stack.counts(batch_id)
        assert (counts.waiting, counts.failed, counts.published) == (len(poor), 0, len(NAMES))
        assert counts.spent_usd_micros == 30_000 * len(NAMES)
        start, held, end = slack.messages
        assert start["text"].startswith("🚀")
        assert held["text"].startswith("⏸️")
        assert f"imagechord resume {batch_id}" in str(held)
        assert "40" in str(end)
        assert "insufficient_credit" in str(end)


def test_a_busy_model_pauses_for_the_whole_cluster(make_stack: MakeStack, api: AnycapApi) -> None:
    """A 429 stops that model on both workers for as long as was asked; the other model goes on; no attempt is lost."""
    answered_at: list[float] = []

    def fault_for(prompt: str, number: int) -> Fault | None:
        if "busy" in prompt:
            answered_at.append(time.monotonic())
            return Fault.RATE_LIMITED if len(answered_at) == 1 else None
        return None

    api.fault_for = fault_for
    busy = [f"busy-{n}" for n in range(30)]
    stack = make_stack("worker_concurrency = 2\n")
    stack.start_worker("one")
    stack.start_worker("two")
    batch_id = stack.run(rows(busy, model="quick") + rows(NAMES, model="other"), model=None)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert {stack.images(batch_id)[name].attempts for name in busy} == {1}
    gaps = [later - earlier for earlier, later in pairwise(answered_at)]
    assert max(gaps) > 1.5, "nothing of the model was asked for during the pause"
    in_time = sum(moment - answered_at[0] < 1.5 for moment in answered_at)
    assert in_time <= 1 + 4 + 2, "only what was in the pools already, or taken for them"


def test_a_bug_in_a_step_ends_as_a_state(stack: Stack, api: AnycapApi) -> None:
    """A row that our own code cannot handle fails with a class and a message; the others are published."""
    batch_id = stack.submit(rows(NAMES))
    with stack.services.ledger.write() as connection:
        connection.execute(update(image).where(image.c.key == "cup-2").values(width=-1))
        connection.execute(update(image).where(image.c.key == "cup-4").values(output_key=None, key="../cup-4"))
    stack.start_worker()
    stack.start(batch_id)
    stack.wait(batch_id, 60)
    broken = stack.images(batch_id)["cup-2"]
    assert broken.state is State.FAILED
    assert broken.error_class
    assert "unexpected" in (broken.error_message or "")
    escaping = stack.images(batch_id)["../cup-4"]
    assert escaping.state is State.FAILED
    assert escaping.error_step == "upload_s3"
    assert stack.counts(batch_id).published == len(NAMES) - 2


def test_what_is_expected_makes_no_noise(make_stack: MakeStack, api: AnycapApi) -> None:
    """Refused pictures, retries and the end of the worker leave no traceback, no error and no secret in its log."""
    api.fault_for = lambda prompt, number: {
        prompt_of("cup-0"): Fault.CONTENT_REJECTED,
        prompt_of("cup-1"): Fault.SERVER_ERROR if number == 1 else None,
    }.get(prompt)
    with SlackStandIn() as slack:
        stack = make_stack(CMS_TOKEN="secret-of-the-cms", **slack.environment)
        worker = stack.start_worker()
        stack.run(rows(NAMES))
        worker.terminate()
        worker.process.wait(20)
        for noise in ("Traceback", "ERROR", "CRITICAL", "Exception ignored", "ChordError", "secret"):
            assert noise not in worker.words, noise
        assert "cup-0" in worker.words
        assert "content_rejected" in worker.words


@pytest.mark.parametrize("pool", ["prefork", "gevent"])
def test_other_pools_work_too(make_stack: MakeStack, api: AnycapApi, pool: str) -> None:
    """``-P`` chooses another pool; a small batch is published by it."""
    stack = make_stack(NERVOUS)
    stack.start_worker("one", "-P", pool, "-c", "3")
    batch_id = stack.run(rows(NAMES))
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert len(api.charges) == len(NAMES)
