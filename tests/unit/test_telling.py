"""When an image's end is the occasion to ask for its batch's webhook to be told."""

from __future__ import annotations

from tasks.steps.telling import Occasions
from tests.unit.test_lookout import Clock


def test_once_a_second_and_batch() -> None:
    """The first end is one, and then the first after each second."""
    clock = Clock()
    occasions = Occasions(clock)
    assert [occasions.is_one(batch, lambda: True) for batch in ("a", "a", "b")] == [True, False, True]
    clock.seconds = 1.0
    assert [occasions.is_one("a", lambda: True) for _ in range(2)] == [True, False]


def test_batches_without_a_webhook_are_asked_about_once() -> None:
    """The ledger is not bothered with every image."""
    asked: list[str] = []

    def has_none() -> bool:
        asked.append("asked")
        return False

    clock = Clock()
    occasions = Occasions(clock)
    for seconds in range(3):
        clock.seconds = float(seconds)
        assert not occasions.is_one("a", has_none)
    assert len(asked) == 1
