from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from tasks.core.errors import ErrorClass
from tasks.core.going_on import Rerun, command, first_to_tell, rerun, worth_retrying
from tasks.core.holds import Reason
from tasks.core.states import State
from tasks.core.summary import BatchSummary, FailureGroup

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def group(state: State, error_class: str, count: int = 1, step: str = "generate") -> FailureGroup:
    """Images that have met the same."""
    return FailureGroup(state, error_class, step, "", count, ("A",))


def summary(groups: Sequence[FailureGroup] = (), **counts: int) -> BatchSummary:
    """A batch with these reasons, and images under way besides."""
    return BatchSummary(
        batch_id="b",
        name="n",
        round=1,
        total=9,
        counts={State(name): count for name, count in counts.items()},
        skipped_rows=0,
        models=(),
        started_at=NOW,
        ended_at=NOW,
        spent_usd_micros=0,
        reused=0,
        failures=tuple(groups),
    )


@pytest.mark.parametrize(
    ("state", "error_class", "wanted"),
    [
        (State.HELD, Reason.PAUSED, "imagechord resume b"),
        (State.HELD, Reason.BUDGET, "imagechord resume b --budget USD"),
        (State.HELD, Reason.DAY_BUDGET, None),
        (State.HELD, Reason.ACCOUNT, "imagechord resume b"),
        (State.HELD, Reason.FAILURES, "imagechord resume b"),
        (State.HELD, Reason.PUBLISH, "imagechord publish b"),
        (State.HELD, ErrorClass.NOT_SENT, "imagechord resume b"),
        (State.UNKNOWN, ErrorClass.AMBIGUOUS, "imagechord retry b --only unknown"),
        (State.FAILED, ErrorClass.OVERLOADED, "imagechord retry b --only overloaded"),
        (State.REFUSED, ErrorClass.REFUSED, "imagechord retry b --only refused --edit template=NAME"),
        (State.CANCELLED, Reason.CANCELLED, "imagechord retry b --only cancelled"),
    ],
)
def test_every_reason_has_its_command(state: State, error_class: str, wanted: str | None) -> None:
    """The one that makes its pictures go on; none where midnight does."""
    assert command(group(state, error_class), "b") == wanted


def test_what_a_person_would_settle_first_is_told_first() -> None:
    """A pause before trouble, trouble before money, whatever has more pictures."""
    paused, account = group(State.HELD, Reason.PAUSED), group(State.HELD, Reason.ACCOUNT, 500)
    budget, unknown = group(State.HELD, Reason.BUDGET, 900), group(State.UNKNOWN, ErrorClass.AMBIGUOUS)
    assert first_to_tell(summary([unknown, budget, account, paused])) is paused
    assert first_to_tell(summary([unknown, budget, account])) is account
    assert first_to_tell(summary([unknown, budget])) is budget
    assert first_to_tell(summary([group(State.FAILED, ErrorClass.OVERLOADED)])) is None


def test_only_what_may_succeed_is_worth_a_retry() -> None:
    """A refused prompt and an invalid request fail again as they are."""
    assert worth_retrying(summary([group(State.FAILED, ErrorClass.OVERLOADED)]))
    assert not worth_retrying(summary([group(State.FAILED, ErrorClass.INVALID)]))
    assert not worth_retrying(summary([group(State.REFUSED, ErrorClass.REFUSED)]))


def test_what_the_cms_refuses_is_worth_a_retry() -> None:
    """The record that is missing is made there, and the picture is paid for already."""
    missing = group(State.FAILED, ErrorClass.INVALID, step="patch_cms")
    assert worth_retrying(summary([missing]))
    assert command(missing, "b") == "imagechord retry b --only invalid"


class TestRunningTheSameRowsAgain:
    def test_what_is_under_way_goes_on(self) -> None:
        """Also beside pictures that wait to be looked at."""
        assert rerun(summary(queued=3), [], budget_grows=False) is Rerun.GO_ON
        waits = [group(State.HELD, Reason.PUBLISH)]
        assert rerun(summary(waits, queued=3), [], budget_grows=False) is Rerun.GO_ON

    @pytest.mark.parametrize("error_class", [Reason.ACCOUNT, Reason.FAILURES, ErrorClass.NOT_SENT])
    def test_trouble_may_be_over(self, error_class: str) -> None:
        """The batch is resumed."""
        assert rerun(summary([group(State.HELD, error_class)]), [], budget_grows=False) is Rerun.RESUME

    def test_a_larger_budget_goes_on_with_what_waited_for_money(self) -> None:
        """The same budget again does not."""
        waits = summary([group(State.HELD, Reason.BUDGET)])
        assert rerun(waits, [], budget_grows=True) is Rerun.RESUME
        assert rerun(waits, [], budget_grows=False) is Rerun.WAIT

    def test_a_persons_pause_holds(self) -> None:
        """Whatever else is going on, and while calls are still in flight."""
        trouble = [group(State.HELD, Reason.ACCOUNT)]
        assert rerun(summary(trouble, generating=3), [Reason.PAUSED], budget_grows=True) is Rerun.WAIT

    @pytest.mark.parametrize(
        "waits",
        [
            group(State.HELD, Reason.PUBLISH),
            group(State.HELD, Reason.DAY_BUDGET),
            group(State.UNKNOWN, ErrorClass.AMBIGUOUS),
        ],
    )
    def test_what_needs_a_decision_or_midnight_waits(self, waits: FailureGroup) -> None:
        """Nothing is started, and nothing is bought that may be paid already."""
        assert rerun(summary([waits]), [], budget_grows=False) is Rerun.WAIT
