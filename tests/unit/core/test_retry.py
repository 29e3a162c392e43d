from __future__ import annotations

import pytest

from tasks.core.errors import ErrorClass
from tasks.core.retry import (
    PARKED,
    BreakerRules,
    Decision,
    Failure,
    RetryRules,
    after_delivery,
    after_failing_alike,
    after_generate,
    backoff_seconds,
)
from tasks.core.states import State

RULES = RetryRules()


@pytest.mark.parametrize(("tries", "seconds"), [(1, 2.0), (2, 4.0), (5, 32.0), (6, 60.0), (5000, 60.0)])
def test_backoff_doubles_up_to_a_minute(tries: int, seconds: float) -> None:
    """After the n-th try the wait is 2ⁿ s, never more than 60 s, and no exponent is too large."""
    assert backoff_seconds(tries) == seconds


@pytest.mark.parametrize(
    ("failure", "decision"),
    [
        (Failure(ErrorClass.REFUSED, attempts=1), Decision(end=State.REFUSED)),
        (Failure(ErrorClass.INVALID, attempts=1), Decision(end=State.FAILED)),
        (Failure(ErrorClass.ACCOUNT, attempts=1), Decision(end=State.HELD, holds_others=True)),
        (Failure(ErrorClass.OVERLOADED, attempts=1), Decision(wait_seconds=2.0)),
        (Failure(ErrorClass.OVERLOADED, attempts=2, retry_after_seconds=9.0), Decision(wait_seconds=9.0)),
        (Failure(ErrorClass.OVERLOADED, attempts=3), Decision(end=State.FAILED)),
        (Failure(ErrorClass.NO_IMAGE, attempts=2), Decision(wait_seconds=4.0)),
        (Failure(ErrorClass.NO_IMAGE, attempts=3), Decision(end=State.FAILED)),
        (Failure(ErrorClass.BAD_BYTES, attempts=1), Decision(wait_seconds=2.0)),
        (Failure(ErrorClass.AMBIGUOUS, attempts=1, unknowns=1), Decision(wait_seconds=2.0)),
        (Failure(ErrorClass.AMBIGUOUS, attempts=2, unknowns=2), Decision(end=State.FAILED)),
        (Failure(ErrorClass.AMBIGUOUS, attempts=3, unknowns=1), Decision(end=State.FAILED)),
        (Failure(ErrorClass.LOST, attempts=1), Decision(end=State.HELD)),
        (Failure(ErrorClass.RATE_LIMITED, attempts=3, unsent=1), Decision(wait_seconds=2.0)),
        (Failure(ErrorClass.RATE_LIMITED, unsent=900, retry_after_seconds=7200.0), Decision(wait_seconds=7200.0)),
        (Failure(ErrorClass.NOT_SENT, attempts=3, unsent=2), Decision(wait_seconds=4.0)),
        (Failure(ErrorClass.NOT_SENT, unsent=12), Decision(end=State.HELD)),
    ],
)
def test_what_follows_a_failed_paid_call(failure: Failure, decision: Decision) -> None:
    """The design's table, row by row: attempts end overloads, nothing ends a 429, policy decides on unknowns."""
    assert after_generate(failure, RULES) == decision


def test_an_unknown_outcome_is_held_when_the_policy_says_so() -> None:
    """With ``on_unknown = "hold"`` a perhaps paid call waits for a person at once."""
    decision = after_generate(Failure(ErrorClass.AMBIGUOUS, attempts=1, unknowns=1), RetryRules(on_unknown="hold"))
    assert decision == Decision(end=State.UNKNOWN)


@pytest.mark.parametrize(
    ("failure", "decision"),
    [
        (Failure(ErrorClass.ACCOUNT, attempts=1), Decision(end=State.HELD, holds_others=True)),
        (Failure(ErrorClass.INVALID, attempts=1), Decision(end=State.FAILED)),
        (Failure(ErrorClass.REFUSED, attempts=1), Decision(end=State.FAILED)),
        (Failure(ErrorClass.OVERLOADED, attempts=3), Decision(wait_seconds=8.0)),
        (Failure(ErrorClass.RATE_LIMITED, attempts=1, retry_after_seconds=30.0), Decision(wait_seconds=30.0)),
        (Failure(ErrorClass.AMBIGUOUS, attempts=9), Decision(wait_seconds=60.0)),
        (Failure(ErrorClass.NOT_SENT, attempts=10), Decision(end=State.HELD)),
        (Failure(ErrorClass.NOT_SENT, attempts=10, outage=True), PARKED),
        (Failure(ErrorClass.OVERLOADED, attempts=1, outage=True, retry_after_seconds=9.0), PARKED),
        (Failure(ErrorClass.INVALID, attempts=1, outage=True), Decision(end=State.FAILED)),
        (Failure(ErrorClass.ACCOUNT, attempts=1, outage=True), Decision(end=State.HELD, holds_others=True)),
    ],
)
def test_what_follows_a_failed_delivery(failure: Failure, decision: Decision) -> None:
    """Uploads and patches are free: a wrong request ends them, ten tries hold them, an outage does neither."""
    assert after_delivery(failure, RULES) == decision


@pytest.mark.parametrize(("wait", "gives_back"), [(None, False), (60.0, False), (60.1, True)])
def test_a_wait_of_more_than_a_minute_goes_to_the_ledger(wait: float | None, gives_back: bool) -> None:
    """The broker would deliver a long countdown again and again, so a message carries a minute at most."""
    assert Decision(wait_seconds=wait).gives_back is gives_back


def test_a_message_that_cannot_come_again_leaves_its_wait_to_the_ledger() -> None:
    """However short the wait is; an end is no wait."""
    assert Decision(wait_seconds=1.0, anew=True).gives_back
    assert not Decision(end=State.FAILED, anew=True).gives_back


def test_a_parked_image_goes_to_the_ledger() -> None:
    """However short its wait may be: nobody knows when its destination is back."""
    assert PARKED.gives_back


@pytest.mark.parametrize(("error_class", "seconds"), [(ErrorClass.OVERLOADED, 60.0), (ErrorClass.INVALID, None)])
def test_an_image_is_not_given_up_for_what_all_meet(error_class: ErrorClass, seconds: float | None) -> None:
    """It waits with the others of its model: for a while when the provider is overloaded, else for a person."""
    decision = after_failing_alike(error_class, BreakerRules(overloaded_seconds=60.0))
    assert decision == Decision(end=State.HELD, holds_others=True, hold_seconds=seconds)
