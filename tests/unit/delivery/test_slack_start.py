"""The start of a round, and what becomes of its message."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.eta import BatchProgress, ModelProgress, Recent
from tasks.core.limits import LimitState
from tasks.core.states import State
from tasks.delivery.slack_start import going_on, over, started, superseded, under_way
from tasks.delivery.slack_text import as_text
from tests.stand_ins.slack import block_kit_problems
from tests.unit.delivery.summaries import summary

PAGE = "https://shop.example.com/imagechord/batches/01JT2Z"


def progress(counts: dict[State, int], ended: int = 20) -> BatchProgress:
    """Of one model, with so many ends in the last minute."""
    recent = Recent(ended, 60.0)
    return BatchProgress((ModelProgress("nano-banana-2", counts, recent, LimitState("nano-banana-2"), 10.0, 16),))


def test_start_in_korean() -> None:
    """The rocket, the number of images, the model, the expected cost, the budget and the page."""
    batch = summary(total=1000, budget_usd_micros=6_000_000)
    message = started(batch, expected_usd_micros=5_000_000, page_url=PAGE)
    assert message["text"] == "🚀 `products.csv`: 이미지 1,000장 생성을 시작합니다"
    assert as_text(message).splitlines() == [
        "🚀 products.csv: 이미지 1,000장 생성을 시작합니다",
        "모델: nano-banana-2",
        "예상 비용: $5.00",
        "예산: $6.00",
        f"배치 페이지 열기: {PAGE}",
    ]


def test_start_in_english_without_a_price() -> None:
    """A model without a price makes no promise about cost; what is not set is not there."""
    message = started(summary(models=("a", "b")), language="en")
    assert as_text(message) == "🚀 products.csv: generating 24 images\nModel: a, b"


def test_one_image() -> None:
    """A first try with one row reads well."""
    assert started(summary(total=1), language="en")["text"] == "🚀 `products.csv`: generating 1 image"


def test_under_way() -> None:
    """What has ended, a bar of that length, the pace, the time left, and what is spent of the budget."""
    counts = {State.PUBLISHED: 10, State.FAILED: 2, State.HELD: 2, State.PLANNED: 10}
    batch = summary(counts=counts, budget_usd_micros=6_000_000)
    english = under_way(batch, progress(counts), page_url=PAGE, language="en")
    assert english["text"] == "⏳ `products.csv`: 12/24 · 50%"
    assert as_text(english).splitlines() == [
        "⏳ products.csv: 12/24 · 50%",
        "▰▰▰▰▰▰▰▰▰▰▱▱▱▱▱▱▱▱▱▱",
        "10/24 succeeded · 2 failed · 2 waiting",
        "20 a minute",
        "about 40 s left",
        "Cost: $0.12 / $6.00",
        "Model: nano-banana-2",
        f"Open the batch page: {PAGE}",
    ]
    assert "분당 20장\n약 40초 남음\n비용: $0.12 / $6.00" in as_text(under_way(batch, progress(counts)))


def test_under_way_before_anything_has_ended() -> None:
    """No pace is made up, and an empty batch divides nothing by zero."""
    counts = {State.PLANNED: 24}
    text = as_text(under_way(summary(counts=counts), progress(counts, ended=0), language="en"))
    assert "a minute" not in text
    assert "0/24 · 0%" in text
    assert "0/0 · 0%" in as_text(under_way(summary(counts={}, total=0), progress({}, ended=0), language="en"))


def test_over() -> None:
    """What the round has come to, as the summary says it, and how long it took."""
    assert as_text(over(summary(), language="en")).splitlines() == [
        "✅ products.csv: 24/24 succeeded · 0 failed",
        "Duration: 12 min 5 s",
        "Cost: $0.12",
        "Model: nano-banana-2",
    ]
    assert over(summary(counts={State.PUBLISHED: 23, State.HELD: 1}))["text"].startswith("⚠️")


def test_superseded() -> None:
    """A round that another one has taken over from says which."""
    batch = summary(round=3, counts={State.PUBLISHED: 20, State.PLANNED: 4})
    assert superseded(batch, language="en")["text"] == (
        "↪️ `products.csv`: 20/24 succeeded · 0 failed · goes on in round 3"
    )
    assert "3차에서 이어집니다" in superseded(batch)["text"]


HOSTILE = st.text(st.sampled_from("a한&<>`*_\n|😀"), max_size=5000)


@settings(max_examples=25, deadline=None)
@given(name=HOSTILE, models=st.lists(HOSTILE, max_size=30), url=HOSTILE, ko=st.booleans())
def test_never_outside_slacks_limits(name: str, models: list[str], url: str, ko: bool) -> None:
    """Whatever the names are, Slack takes the messages."""
    language: Any = "ko" if ko else "en"
    batch = replace(summary(), name=name, models=tuple(models))
    for message in (
        started(batch, expected_usd_micros=1, page_url=url, language=language),
        going_on(batch, page_url=url, language=language),
        under_way(batch, progress(dict(batch.counts)), page_url=url, language=language),
        over(batch, page_url=url, language=language),
        superseded(batch, page_url=url, language=language),
    ):
        assert list(block_kit_problems(message)) == []


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_message_shows_the_page(language: Any) -> None:
    """Wherever it is known."""
    for message in (
        going_on(summary(), page_url=PAGE, language=language),
        over(summary(), page_url=PAGE, language=language),
        superseded(summary(), page_url=PAGE, language=language),
    ):
        assert PAGE in as_text(message)
