"""What is held is said with its reason and the command that goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.holds import TOLD, WHOLE, Hold, Reason
from tasks.core.states import State
from tasks.delivery.slack_holds import held, lifted
from tasks.delivery.slack_text import as_text
from tests.stand_ins.slack import block_kit_problems
from tests.unit.delivery.summaries import START, summary

PAGE = "https://shop.example.com/imagechord/batches/01JT2Z"
BY_MODEL = {"nano-banana-2": {State.PUBLISHED: 10, State.HELD: 12}, "seedream-5": {State.HELD: 2}}


def hold(model: str = "nano-banana-2", reason: Reason = Reason.ACCOUNT, **changes: Any) -> Hold:
    """A hold since ten o'clock UTC that a person lifts."""
    values: dict[str, Any] = {"message": "402: insufficient_credit", "since": START, "until": None}
    return Hold("01JT2Z", model, reason, **{**values, **changes})


def batch() -> Any:
    """Of two models, and most of it waits."""
    counts = {State.PUBLISHED: 10, State.HELD: 14}
    return summary(counts=counts, by_model=BY_MODEL, budget_usd_micros=310_000, spent_usd_micros=300_000)


def test_a_budget_that_is_reached() -> None:
    """What is spent of it, how many images wait, and how to go on; it is the batch's, whichever model met it."""
    message = held(batch(), [hold(reason=Reason.BUDGET, message="$0.31 allows no more")], page_url=PAGE, language="en")
    assert message["text"] == "💰 `products.csv`: the budget is reached ($0.30 of $0.31 spent)"
    assert as_text(message).splitlines() == [
        "💰 products.csv: the budget is reached ($0.30 of $0.31 spent)",
        "Batch · the batch's budget is reached · images waiting: 14",
        "$0.31 allows no more",
        "To go on with more money: imagechord resume 01JT2Z --budget USD",
        f"Open the batch page: {PAGE}",
    ]
    assert held(batch(), [hold(reason=Reason.BUDGET)])["text"] == (
        "💰 `products.csv`: 예산에 도달했습니다 (사용 $0.30 / 예산 $0.31)"
    )


def test_several_models_in_one_message() -> None:
    """Each with its reason; the command once, and none for what goes on by itself."""
    midnight = "goes on by itself at 2026-05-02 00:00 KST"
    later = hold("seedream-5", Reason.DAY_BUDGET, until=START + timedelta(hours=13), message="$5.00 a day")
    message = held(batch(), [hold(), hold("other"), later], language="en")
    assert as_text(message).splitlines() == [
        "⏸️ products.csv: some images are on hold",
        "nano-banana-2 · key, credit or rights · images waiting: 12",
        "402: insufficient_credit",
        "other · key, credit or rights",
        "402: insufficient_credit",
        f"seedream-5 · the model's budget for the day is reached · images waiting: 2 · {midnight}",
        "$5.00 a day",
        "Mend the cause, then go on with: imagechord resume 01JT2Z",
    ]


def test_what_goes_on_by_itself_needs_no_command() -> None:
    """Nor the empty block that Slack would refuse."""
    message = held(batch(), [hold(WHOLE, Reason.FAILURES, until=START)], language="en")
    assert "imagechord" not in as_text(message)
    assert list(block_kit_problems(message)) == []


@pytest.mark.parametrize("language", ["ko", "en"])
def test_lifted(language: Any) -> None:
    """It says since when, and what it was; no command any more."""
    said = held(batch(), [hold()], page_url=PAGE, language=language)
    text = as_text(lifted("products.csv", said, START, language=language))
    assert text.startswith("▶️ products.csv: ")
    assert "2026-05-01 11:00 KST" in text
    assert "402: insufficient_credit" in text
    assert "imagechord resume" not in text


HOSTILE = st.text(st.sampled_from("a한&<>`*_\n|😀"), max_size=5000)
HOLDS = st.lists(
    st.builds(
        Hold,
        st.just("b-1"),
        HOSTILE,
        st.sampled_from(TOLD),
        HOSTILE,
        st.just(START),
        st.sampled_from([None, START]),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=25, deadline=None)
@given(name=HOSTILE, holds=HOLDS, url=HOSTILE, ko=st.booleans())
def test_never_outside_slacks_limits(name: str, holds: list[Hold], url: str, ko: bool) -> None:
    """Whatever models and errors are called, and however many there are, Slack takes the messages."""
    language: Any = "ko" if ko else "en"
    message = held(summary(name=name), holds, page_url=url, language=language)
    assert list(block_kit_problems(message)) == []
    assert list(block_kit_problems(lifted(name, message, START, language=language))) == []
