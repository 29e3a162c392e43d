"""When an image's end is the occasion to look at its model's queue."""

from __future__ import annotations

from tasks.steps.lookout import Lookout


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_every_so_many_ends_are_a_reason_to_look() -> None:
    """Counted for each model by itself; the first end of all is one."""
    lookout = Lookout(Clock())
    assert lookout.is_due("a")
    lookout.look_every("a", 3)
    assert [lookout.is_due("a") for _ in range(7)] == [False, False, True, False, False, True, False]
    assert lookout.is_due("b")


def test_small_windows_are_looked_at_each_time() -> None:
    """No end may be overlooked when a queue holds ten images."""
    lookout = Lookout(Clock())
    for ends in (0, 0, 1, 1):
        lookout.look_every("a", ends)
        assert lookout.is_due("a")


def test_an_end_after_a_pause_is_a_reason_to_look() -> None:
    """Of many processes each has few ends: all together would pass the low watermark unseen."""
    clock = Clock()
    lookout = Lookout(clock)
    assert lookout.is_due("a")
    lookout.look_every("a", 30)
    assert not lookout.is_due("a")
    clock.seconds = 0.5
    assert lookout.is_due("a")
    assert not lookout.is_due("a")
