from __future__ import annotations

from tasks.core.states import ACTIVE, ENDED, UNPUBLISHED_ENDS, WAITING, State


def test_every_state_is_active_waiting_or_ended() -> None:
    """The three groups are disjoint and complete, so that counts add up."""
    assert sorted([*ACTIVE, *WAITING, *ENDED]) == sorted(State)


def test_only_published_is_a_good_end() -> None:
    """Every other end makes the batch finish with failures."""
    assert {State.FAILED, State.REFUSED, State.CANCELLED} == UNPUBLISHED_ENDS
