"""Batches through real workers and a real broker."""

from __future__ import annotations

from tasks.core.states import State
from tests.integration.stack import Stack, prompt_of, rows
from tests.stand_ins.anycap_api import AnycapApi


def test_a_batch_is_published(stack: Stack, api: AnycapApi) -> None:
    """Every row becomes a published picture, bought once."""
    stack.start_worker()
    names = [f"cup-{n}" for n in range(12)]
    batch_id = stack.run(rows(names))
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert sorted(call.prompt for call in api.charges) == sorted(map(prompt_of, names))
