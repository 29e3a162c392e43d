"""Money and trouble with real workers: what is reached holds the rest, Slack says so once, and a person goes on."""

from __future__ import annotations

import threading
from collections import Counter

from tasks.core.holds import Reason
from tasks.core.states import State
from tasks.ledger import holding
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, rows
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.stand_ins.slack import SlackStandIn
from tests.waiting import wait_until

PRICE = 30_000
"""What AnyCap's stand-in charges for a picture, in micro-dollars."""

CUPS = [f"cup-{n}" for n in range(24)]


def reasons(stack: Stack, batch_id: str) -> Counter[tuple[State, str | None]]:
    """How many images are in which state, for which reason."""
    return Counter((view.state, view.error_class) for view in stack.images(batch_id).values())


def test_a_budget_is_used_up_and_not_exceeded(make_stack: MakeStack, api: AnycapApi) -> None:
    """Two workers buy what the budget allows; the rest is held, Slack says so, and goes on with more money."""
    with SlackStandIn() as slack:
        stack = make_stack(NERVOUS, **slack.environment)
        stack.start_worker("one")
        stack.start_worker("two")
        batch_id = stack.run(rows(CUPS), budget_usd="0.31")
        assert len(api.charges) == 10
        assert reasons(stack, batch_id) == {(State.PUBLISHED, None): 10, (State.HELD, Reason.BUDGET): 14}
        assert stack.counts(batch_id).spent_usd_micros == 10 * PRICE
        (end,) = [message for message in slack.messages if message["text"][0] == "⚠"]
        assert "budget" in str(end["blocks"])
        assert holding.resume(stack.services.ledger, batch_id, 1_000_000) == 14
        stack.wait(batch_id)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        assert len(api.charges) == len(CUPS)
        # The budget that is reached is said once, before the summary says it too.
        assert [message["text"][0] for message in slack.messages] == ["🚀", "💰", "⚠", "✅"]
        assert "($0.30 of $0.31 spent)" in slack.messages[1]["text"]
        assert f"imagechord resume {batch_id} --budget USD" in str(slack.messages[1])


def test_the_budget_of_a_day_holds_over_batches(make_stack: MakeStack, api: AnycapApi) -> None:
    """Two batches of a model share its money for the day; what is left waits for its midnight."""
    stack = make_stack(NERVOUS)
    stack.start_worker("one")
    stack.start_worker("two")
    batches = [stack.submit(rows(CUPS[n::2]), model="thrifty") for n in range(2)]
    for batch_id in batches:
        stack.start(batch_id)
    for batch_id in batches:
        stack.wait(batch_id)
    assert len(api.charges) == 10
    found = sum((reasons(stack, batch_id) for batch_id in batches), Counter())
    assert found == {(State.PUBLISHED, None): 10, (State.HELD, Reason.DAY_BUDGET): 14}
    held = [hold for batch_id in batches for hold in holding.holds(stack.services.ledger, batch_id)]
    assert {(hold.model, hold.reason) for hold in held} == {("thrifty", Reason.DAY_BUDGET)}
    assert all(hold.until is not None for hold in held)


def test_calls_that_all_fail_alike_are_not_tried_ten_thousand_times(make_stack: MakeStack, api: AnycapApi) -> None:
    """Ten wrong requests in a row hold the model of this batch; Slack is told once, and other models go on."""
    api.fault_for = lambda prompt, _number: Fault.INVALID_PARAM if "bad" in prompt else None
    with SlackStandIn() as slack:
        stack = make_stack(NERVOUS, **slack.environment)
        stack.start_worker()
        slow = rows([f"good-{n}" for n in range(3)], model="slow")
        batch_id = stack.submit([*rows([f"bad-{n}" for n in range(60)]), *slow])
        stack.start(batch_id)
        stack.wait(batch_id, 90)
        counts = stack.counts(batch_id).counts
        assert counts[State.PUBLISHED] == 3
        assert 9 <= counts[State.FAILED] < 9 + 8  # those that were settled at the same moment
        assert counts[State.HELD] == 60 - counts[State.FAILED]
        told = [message["text"][0] for message in slack.messages]
        assert told == ["🚀", "⏸", "⚠"]
        assert batch_id in str(slack.messages[1])
        assert "resume" in str(slack.messages[1])


def test_a_provider_in_trouble_is_tried_again_later(make_stack: MakeStack, api: AnycapApi) -> None:
    """A hold for overload ends by itself: nothing fails, nobody has to get up, and the batch completes."""
    over = threading.Event()
    api.fault_for = lambda _prompt, _number: None if over.is_set() else Fault.SERVER_ERROR
    stack = make_stack(f"{NERVOUS}hold_after_failures = 8\noverloaded_hold_minutes = 0.1\n")
    stack.start_worker()
    batch_id = stack.submit(rows(CUPS))
    stack.start(batch_id)
    wait_until(lambda: holding.holds(stack.services.ledger, batch_id), 60, "a hold")
    (hold,) = holding.holds(stack.services.ledger, batch_id)
    assert (hold.model, hold.reason) == ("quick", Reason.FAILURES)
    assert hold.until is not None
    over.set()
    wait_until(lambda: stack.counts(batch_id).published == len(CUPS), 60, "all pictures")
    assert len(api.charges) == len(CUPS)
    assert stack.counts(batch_id).round == 2
    assert holding.holds(stack.services.ledger, batch_id) == []
