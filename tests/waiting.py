"""Waiting for a condition, with a deadline: never a bare sleep."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], timeout_seconds: float = 30.0, what: str = "the condition") -> None:
    """Poll until the condition holds. Raises AssertionError when it does not in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true in {timeout_seconds:.0f} s")
        time.sleep(0.02)
