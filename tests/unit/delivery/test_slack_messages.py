"""The messages say what happened, in both languages, inside Slack's limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.errors import ErrorClass
from tasks.core.events import Standing
from tasks.core.holds import Hold, Reason
from tasks.core.limits import CMS, LimitState
from tasks.core.outages import DESTINATIONS, S3, Outage
from tasks.core.showing import Shown
from tasks.core.states import State
from tasks.core.summary import FailureGroup, Fallback
from tasks.delivery.slack_blocks import without_pictures
from tasks.delivery.slack_holds import held
from tasks.delivery.slack_messages import delivery_goes_on, delivery_held, finished
from tasks.delivery.slack_messages import refused as refused_batch
from tasks.delivery.slack_start import going_on, started
from tasks.delivery.slack_text import as_text
from tasks.delivery.slack_words import ENGLISH, KOREAN
from tests.stand_ins.slack import block_kit_problems
from tests.unit.delivery.summaries import START, refused, summary


def test_all_published() -> None:
    """✅ with succeeded and total, the duration, the cost, and a link to the report."""
    message = finished(summary(), language="en")
    assert message["text"] == "✅ `products.csv`: 24/24 succeeded · 0 failed"
    assert as_text(message).splitlines() == [
        "✅ 24/24 succeeded · 0 failed",
        "products.csv",
        "Succeeded: 24 / 24",
        "Failed: 0",
        "Cost: $0.12",
        "Duration: 12 min 5 s",
        "Model: nano-banana-2",
        "Open the report: https://shop.example.com/report.html?a=1&b=2",
        "2026-05-01 11:00 – 11:12 KST",
        "Batch 01JT2Z",
        "round 1",
    ]


def test_some_failed() -> None:
    """⚠️ with the failed count, and failures grouped by reason, the most frequent first, with example keys."""
    counts = {State.PUBLISHED: 19, State.REFUSED: 2, State.FAILED: 3}
    failures = (
        refused(),
        refused(3, state=State.FAILED, error_class=ErrorClass.OVERLOADED, step="patch_cms", example_keys=("SKU-3",)),
    )
    message = finished(summary(counts=counts, failures=failures, spent_usd_micros=0, reused=4, skipped_rows=1))
    assert message["text"] == "⚠️ `products.csv`: 19/24 성공 · 실패 5"
    shown = as_text(message)
    assert "건너뛴 행: 1" in shown
    assert "재사용: 4" in shown
    assert "비용: 무료" in shown
    assert shown.index("3장 · 상대 서비스 장애 · patch_cms") < shown.index("2장 · 콘텐츠 정책으로 거부됨 · generate")
    assert "SKU-3 …" in shown
    assert "SKU-1 SKU-2\n" in shown


def test_waiting_images_are_listed_apart() -> None:
    """Images that wait for a person are no failures, and are not passed over either."""
    counts = {State.PUBLISHED: 20, State.HELD: 3, State.UNKNOWN: 1}
    failures = (refused(3, state=State.HELD, error_class="held", step="", message="", example_keys=()),)
    message = finished(summary(counts=counts, failures=failures), language="en")
    assert message["text"] == "⚠️ `products.csv`: 20/24 succeeded · 0 failed · 4 waiting"
    shown = as_text(message)
    assert "\n\nWaiting for you\n3 × held\n" in shown
    assert "Why images failed" not in shown


def test_a_found_limit_is_named() -> None:
    """What the provider turned out to allow, beside what is configured; limits that hold are no news."""
    limits = (
        LimitState("nano-banana-2", per_minute=600, found_per_minute=289.6),
        LimitState("seedream-5", found_per_minute=2.5),
        LimitState("nano-banana-pro", per_minute=60, in_flight=8),
    )
    english, korean = (as_text(finished(summary(limits=limits), language=language)) for language in ("en", "ko"))
    assert "nano-banana-2: the provider allows about 290 a minute, 600 are configured\n" in english
    assert "seedream-5: the provider allows about 2.5 a minute, none is configured\n" in english
    assert "nano-banana-2: 제공사가 분당 약 290장까지 허용합니다 (설정값 600장)\n" in korean
    assert "seedream-5: 제공사가 분당 약 2.5장까지 허용합니다 (설정값 없음)\n" in korean
    assert "nano-banana-pro" not in english + korean
    assert "🐢" not in as_text(finished(summary(limits=limits[2:])))


@pytest.mark.parametrize("language", ["ko", "en"])
def test_fallbacks_are_told(language: Any) -> None:
    """Who made how many pictures instead of whom; no line where nobody had to."""
    fallbacks = (Fallback("nano-banana-2", "seedream-5", 12, 11), Fallback("seedream-5", "flux", 1, 0))
    text = as_text(finished(summary(fallbacks=fallbacks), language=language))
    lines = [line for line in text.splitlines() if "🔀" in line]
    assert [all(word in lines[0] for word in ("nano-banana-2", "seedream-5", "12", "11")), len(lines)] == [True, 2]
    assert "🔀" not in as_text(finished(summary(), language=language))


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_hold_says_that_its_images_go_on(language: Any) -> None:
    """Where a fallback takes over, nobody need hurry."""
    words = {"ko": KOREAN, "en": ENGLISH}[language].falls_back
    for falls_back in (True, False):
        hold = Hold("01JT2Z", "nano-banana-2", Reason.ACCOUNT, "402", START, None, falls_back)
        assert (words in as_text(held(summary(), [hold], language=language))) is falls_back


def test_a_report_on_disk_is_shown_as_text() -> None:
    """Slack cannot link to a file, so its place is written out; so is a URL that would break out of its link."""
    for url in ("file:///srv/output/report.html", "https://x.example.com/a|b>c"):
        message = finished(summary(report_url=url), language="en")
        assert f"Open the report: {url}" in as_text(message)
        assert list(block_kit_problems(message)) == []
    assert "report" not in as_text(finished(summary(report_url=None), language="en"))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3 * 3600 + 61, "3 h 1 min"), (-1, "0 s")],
)
def test_durations(seconds: float, shown: str) -> None:
    """Two units at most, and never a negative time when clocks disagree."""
    ended = START + timedelta(seconds=seconds)
    assert f"Duration: {shown}\n" in as_text(finished(summary(ended_at=ended), language="en"))


def test_other_days_and_unknown_zones() -> None:
    """A night's run names both days, and a time zone that the machine lacks falls back to UTC."""
    message = finished(summary(ended_at=START + timedelta(hours=20)), timezone="Mars/Olympus", language="en")
    assert "2026-05-01 02:00 – 2026-05-01 22:00 UTC" not in as_text(message)
    assert "2026-05-01 02:00 – 22:00 UTC" in as_text(message)
    message = finished(summary(ended_at=START + timedelta(hours=20)), timezone="Asia/Seoul", language="en")
    assert "2026-05-01 11:00 – 2026-05-02 07:00 KST" in as_text(message)


def test_strangers_cannot_mention_or_format() -> None:
    """Names, keys and error texts are shown as they are: no mention, no link, no formatting, no emoji."""
    hostile = "<!channel> *bold* `code` <https://evil.example|click> &amp; :tada:"
    message = finished(
        summary(
            name=hostile,
            models=(hostile,),
            batch_id=hostile,
            counts={State.FAILED: 1},
            failures=(refused(1, message=hostile, example_keys=(hostile,), step=hostile, error_class=hostile),),
        )
    )
    assert list(block_kit_problems(message)) == []
    assert hostile.replace("`", "'") in as_text(message)


def test_every_class_and_state_has_words() -> None:
    """Each error class, and each state that takes the place of one, has words in both languages."""
    wanted = {*ErrorClass, *Reason, State.CANCELLED, State.HELD, State.UNKNOWN}
    assert set(KOREAN.reasons) == set(ENGLISH.reasons) == wanted


TEXT = st.text(st.sampled_from("a한&<>`*_\n|😀"), max_size=5000)
GROUPS = st.builds(
    FailureGroup,
    state=st.sampled_from([State.FAILED, State.HELD]),
    error_class=TEXT,
    step=TEXT,
    message=TEXT,
    count=st.integers(1, 10**9),
    example_keys=st.lists(TEXT, max_size=8).map(tuple),
)


@settings(max_examples=40, deadline=None)
@given(name=TEXT, url=TEXT, models=st.lists(TEXT, max_size=30), groups=st.lists(GROUPS, max_size=60), ko=st.booleans())
def test_never_outside_slacks_limits(
    name: str, url: str, models: list[str], groups: list[FailureGroup], ko: bool
) -> None:
    """Whatever the names, keys and errors are, and however many, Slack takes the message."""
    language: Any = "ko" if ko else "en"
    counts = {State.FAILED: 10**9, State.HELD: 10**9, State.PUBLISHED: 10**9}
    round_summary = summary(
        name=name,
        report_url=url,
        models=tuple(models),
        failures=tuple(groups),
        counts=counts,
        total=3 * 10**9,
        limits=tuple(LimitState(model, per_minute=1e9, found_per_minute=1e9 - 1) for model in models),
    )
    message = finished(round_summary, language=language)
    assert list(block_kit_problems(message)) == []
    assert list(block_kit_problems(started(round_summary, language=language))) == []
    assert as_text(message)


def test_many_reasons_are_summed_up() -> None:
    """Reasons beyond the fifteenth are counted, not dropped."""
    groups = tuple(refused(n, message=f"reason {n}") for n in range(1, 19))
    message = finished(summary(failures=groups, counts={State.FAILED: 171}), language="en")
    assert "more reasons, in the report: 3 (images: 6)" in as_text(message)


def test_a_message_without_blocks_is_its_text() -> None:
    """as_text falls back to the plain text of a message."""
    assert as_text({"text": "a &amp; *b*"}) == "a & b"


def test_a_refused_batch_says_why_and_what_to_do() -> None:
    """In both languages: the sentence, the first five problems, and the command that shows them all."""
    problems = ("rows: 6 of 9 rows cannot be used", *(f"line {n}: `<!channel>`" for n in range(6)))
    for language, words in (("ko", KOREAN), ("en", ENGLISH)):
        message = refused_batch(summary(phase="refused", problems=problems), language=language)
        assert list(block_kit_problems(message)) == []
        text = as_text(message)
        assert message["text"].startswith("⛔ `products.csv`")
        assert "6 of 9 rows" in text
        assert [f"line {n}" in text for n in range(6)] == [True] * 5 + [False]
        assert f"{words.mend} imagechord status 01JT2Z" in text


@given(st.lists(st.text(max_size=2000), min_size=1, max_size=1002))
def test_whatever_the_problems_are_slack_takes_the_refusal(problems: list[str]) -> None:
    """Inside every limit."""
    message = refused_batch(summary(phase="refused", problems=tuple(problems)))
    assert list(block_kit_problems(message)) == []


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("ko", "🚀 products.csv: 2차 진행을 시작합니다 (이미지 7장)"),
        ("en", "🚀 products.csv: round 2 begins (images: 7)"),
    ],
)
def test_a_later_round_says_how_many_go_on(language: Any, says: str) -> None:
    """Not how many the batch has in all."""
    message = going_on(summary(round=2, counts={State.PUBLISHED: 17, State.PLANNED: 7}), language=language)
    assert as_text(message).splitlines()[0] == says


@pytest.mark.parametrize("language", ["ko", "en"])
def test_what_waits_says_how_it_goes_on(language: Any) -> None:
    """Each reason with its command; what goes on by itself says so, and what has failed asks for nothing."""
    groups = (
        FailureGroup(State.HELD, Reason.PAUSED, "generate", "paused by a person", 5, ("A",)),
        FailureGroup(State.HELD, Reason.PUBLISH, "patch_cms", "", 4, ("B",)),
        FailureGroup(State.HELD, Reason.DAY_BUDGET, "generate", "", 3, ("C",)),
        FailureGroup(State.UNKNOWN, ErrorClass.AMBIGUOUS, "generate", "", 2, ("D",)),
        refused(1),
    )
    counts = {State.HELD: 12, State.UNKNOWN: 2, State.REFUSED: 1}
    text = as_text(finished(summary(counts=counts, failures=groups), language=language))
    for command in ("resume 01JT2Z", "publish 01JT2Z", "retry 01JT2Z --only unknown"):
        assert f"imagechord {command}\n" in text
    assert text.count("imagechord") == 3
    assert {"ko": "자동으로 이어집니다", "en": "goes on by itself"}[language] in text


@pytest.mark.parametrize(
    ("standing", "says"),
    [
        (None, None),
        (Standing(0, None, gave_up=False), None),
        (Standing(7, None, gave_up=False), None),
        (Standing(1200, "it answered 503", gave_up=False), "takes nothing; it will be told again (events: 1,200)"),
        (Standing(3, "it answered 410", gave_up=True), "is told nothing more (events left: 3)"),
    ],
)
def test_a_webhook_that_takes_nothing_is_news(standing: Standing | None, says: str | None) -> None:
    """With its error, in both languages; one that listens is none, though not all is told yet."""
    english, korean = finished(summary(webhook=standing), language="en"), finished(summary(webhook=standing))
    assert list(block_kit_problems(english)) == list(block_kit_problems(korean)) == []
    assert ("웹훅" in as_text(korean)) is (says is not None)
    if standing is None or says is None:
        assert "webhook" not in as_text(english)
    else:
        assert says in as_text(english)
        assert str(standing.error) in as_text(english)


def test_an_outage_says_since_when_why_and_that_nothing_is_lost() -> None:
    """In both languages; the error is a stranger's text."""
    outage = Outage(CMS, START, ErrorClass.OVERLOADED, "the CMS answered 503: <!channel> *down*")
    english = delivery_held(outage, language="en")
    assert as_text(english).splitlines() == [
        "⏸️ Delivery to the CMS is held since 2026-05-01 11:00 KST",
        "the CMS answered 503: <!channel> *down*",
        "No paid picture is lost: they wait, and delivery goes on by itself when it is back.",
    ]
    korean = delivery_held(outage)
    assert korean["text"] == "⏸️ CMS 전송을 2026-05-01 11:00 KST부터 보류합니다"
    assert [*block_kit_problems(english), *block_kit_problems(korean)] == []


def test_the_end_of_an_outage_says_how_long_it_was() -> None:
    """In both languages."""
    outage = Outage(S3, START, ErrorClass.NOT_SENT, "no connection")
    end = START + timedelta(hours=8, minutes=3)
    message = delivery_goes_on(outage, end, language="en")
    assert as_text(message) == "▶️ Delivery to public storage goes on, after 8 h 3 min"
    assert delivery_goes_on(outage, end)["text"] == "▶️ 공개 저장소 전송을 다시 시작했습니다 (보류 시간 8시간 3분)"
    assert list(block_kit_problems(message)) == []


def test_every_destination_has_words() -> None:
    """In both languages."""
    assert set(KOREAN.destinations) == set(ENGLISH.destinations) == set(DESTINATIONS)


def shown(count: int) -> list[Shown]:
    """So many pictures."""
    return [Shown(f"SKU-{n}", f"https://cdn.example.com/a&b/{n}.png") for n in range(count)]


def test_pictures_are_shown_small_beside_their_keys() -> None:
    """Six at most, with the key as their alt text, and a way to the whole picture."""
    message = finished(summary(), pictures=shown(9), language="en")
    assert list(block_kit_problems(message)) == []
    pictures = [block for block in message["blocks"] if "accessory" in block]
    assert [block["accessory"]["alt_text"] for block in pictures] == [f"SKU-{n}" for n in range(6)]
    assert pictures[0]["accessory"]["image_url"] == "https://cdn.example.com/a&b/0.png"
    assert "SKU-0\nOpen the picture: https://cdn.example.com/a&b/0.png\n" in as_text(message)


def test_a_summary_with_everything_is_within_slacks_fifty_blocks() -> None:
    """The most that it can hold, pictures among it; without them it is the same message."""
    groups = tuple(refused(n, state=state) for n in range(1, 30) for state in (State.FAILED, State.HELD))
    batch = summary(
        failures=groups,
        fallbacks=(Fallback("a", "b", 1, 1),),
        limits=(LimitState("a", found_per_minute=1.0),),
        webhook=Standing(1, "503", gave_up=False),
    )
    message = finished(batch, pictures=shown(6))
    assert len(message["blocks"]) == 50
    assert list(block_kit_problems(message)) == []
    assert without_pictures(message) == finished(batch)
