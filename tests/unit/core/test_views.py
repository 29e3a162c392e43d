from __future__ import annotations

from tasks.core.states import State
from tasks.core.views import attention_rank


def test_what_needs_a_person_comes_first() -> None:
    """Every state has a rank, and sorting by it puts failures first and published pictures last."""
    ranks = {state: attention_rank(state) for state in State}

    assert {state for state, rank in ranks.items() if rank == 0} == {State.FAILED, State.REFUSED}
    assert {state for state, rank in ranks.items() if rank == 1} == {State.HELD, State.UNKNOWN}
    assert {state for state, rank in ranks.items() if rank == 2} == {State.CANCELLED}
    assert {state for state, rank in ranks.items() if rank == 4} == {State.PUBLISHED}
    assert ranks[State.PLANNED] == ranks[State.UPLOADED] == 3
