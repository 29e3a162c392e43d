"""What the batch pages decide without a ledger: language, how a batch stands, words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasks.core.dispatch import StepName
from tasks.core.holds import Hold, Reason
from tasks.core.limits import LimitState
from tasks.core.outages import DESTINATIONS, Outage
from tasks.core.states import State
from tasks.core.summary import BatchSummary, FailureGroup
from tasks.report.wording import Language
from tasks.web.pages import wording
from tasks.web.pages.language import chosen
from tasks.web.pages.stands import TONES, Stand, controls, stand
from tests.unit.report.factories import image, summary


@pytest.mark.parametrize(
    ("asked", "cookie", "accepted", "language"),
    [
        ("en", "imagechord_language=ko", "ko", "en"),
        ("EN-us", "", "", "en"),
        ("xx", "a=b; imagechord_language=en", "ko", "en"),
        (None, "imagechord_language=xx", "en-GB,en;q=0.9", "en"),
        (None, "", "fr,en;q=0.4,ko-KR;q=0.8", "ko"),
        (None, "", "fr, en;q=0, ja;q=0.2", "ko"),
        (None, "", "en;q=loud", "ko"),
        (None, '\x00=;;;"', "*", "ko"),
        (None, "odd,key=1; imagechord_language=en", "", "ko"),
        (None, "", "", "ko"),
    ],
)
def test_the_language_is_the_readers(asked: str | None, cookie: str, accepted: str, language: Language) -> None:
    """What was asked for, now or before; else the best that the browser takes; else the installation's."""
    assert chosen(asked, {"cookie": cookie, "accept-language": accepted}, "ko") == language


@pytest.mark.parametrize(
    ("phase", "counts", "held", "stands"),
    [
        ("planning", {}, None, Stand.PLANNING),
        ("refused", {}, None, Stand.REFUSED),
        ("cancelled", {State.CANCELLED: 3}, Reason.CANCELLED, Stand.CANCELLED),
        ("started", {State.GENERATING: 1, State.HELD: 3}, Reason.PAUSED, Stand.PAUSED),
        ("started", {State.GENERATING: 1, State.HELD: 3}, None, Stand.RUNNING),
        ("started", {State.PUBLISHED: 1, State.HELD: 3}, Reason.BUDGET, Stand.WAITING),
        ("started", {State.PUBLISHED: 1, State.UNKNOWN: 1, State.FAILED: 1}, None, Stand.WAITING),
        ("started", {State.PUBLISHED: 1, State.REFUSED: 1}, None, Stand.FAILURES),
        ("started", {State.PUBLISHED: 1}, None, Stand.FINISHED),
    ],
)
def test_a_batch_stands_in_one_word(phase: str, counts: dict[State, int], held: Reason | None, stands: Stand) -> None:
    """Moving before waiting, waiting before failed; a person's pause before all of them."""
    assert stand(phase, counts, held) is stands


def waiting_for(reason: Reason) -> BatchSummary:
    """A batch with a held picture."""
    group = FailureGroup(State.HELD, reason, StepName.GENERATE, "", 1, ("KR-2",))
    return summary([image(2, State.HELD)], failures=(group,))


def test_what_can_be_done_depends_on_how_it_stands() -> None:
    """What is over offers nothing, and only what resuming would move can be resumed."""
    budget, account = (waiting_for(reason) for reason in (Reason.BUDGET, Reason.ACCOUNT))
    assert controls(Stand.RUNNING, budget) == ["pause", "cancel"]
    assert controls(Stand.PAUSED, budget) == ["resume", "cancel"]
    assert controls(Stand.WAITING, budget) == ["cancel"]
    assert controls(Stand.WAITING, account) == ["resume", "cancel"]
    assert controls(Stand.FINISHED, summary([image(2)])) == []


@pytest.mark.parametrize("language", ["ko", "en"])
def test_everything_that_can_be_shown_has_a_word(language: Language) -> None:
    """Each stand its label and colour, each step, each destination of an outage."""
    assert set(wording.stand_labels(language)) == set(TONES) == set(Stand)
    assert set(wording.step_labels(language)) == set(StepName)
    for destination in DESTINATIONS:
        outage = Outage(destination, datetime(2026, 1, 1, tzinfo=UTC), "overloaded", "HTTP 503")
        assert "HTTP 503" in wording.held_delivery(outage, "10:00", language)


def test_limits_are_told_with_what_is_used_of_them() -> None:
    """What is in force; a limit that was found and a pause are told beside it."""
    limit = LimitState("m", 60, 8, 2000, in_flight_now=3, started_today=120, found_per_minute=42.0, paused_seconds=90)
    assert wording.limits(limit, "en") == "42/min · 3 of 8 at once · 120 of 2,000 today"
    assert wording.limits(limit, "ko") == "분당 42 · 동시 3/8 · 하루 120/2,000"
    assert wording.limit_notes(limit, "en") == [
        "the provider allows about 42 a minute, 60 configured",
        "paused for 1 min 30 s: the provider asked for it",
    ]
    assert wording.limits(LimitState("m"), "en") == "none"


def test_a_hold_says_what_waits_why_and_until_when() -> None:
    """And whether a fallback has taken over."""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    held = Hold("b", "seedream-5", Reason.ACCOUNT, "HTTP 402", since, None, falls_back=True)
    words = "seedream-5: Key, credit or quota – HTTP 402, goes on by itself at 18:00, goes on with a fallback"
    assert wording.hold(held, "18:00", "en") == words
    assert (
        wording.hold(Hold("b", "", Reason.BUDGET, "spent", since, None), "", "ko")
        == "배치 전체: 배치 예산 소진 – spent"
    )


@pytest.mark.parametrize(
    ("seconds", "told"), [(None, "not known"), (95.0, "about 1 min 35 s"), (4000, "about 1 h 7 min")]
)
def test_the_time_left_is_no_more_exact_than_it_can_be(seconds: float | None, told: str) -> None:
    """To the minute when it is long."""
    assert wording.time_left(seconds, "en") == told
