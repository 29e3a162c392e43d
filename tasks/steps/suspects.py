"""Images that were in a dead worker's hands: perhaps one of them was why it died."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tasks.steps.base import RetryLater

_LOOK_AGAIN_SECONDS = 1.0
_one = threading.Lock()


def enter_alone(until: ExitStack) -> bool:
    """Let one suspect at a time be at work in this process, till the end of ``until``; whether it may be this one.

    Should it be the culprit, it takes no other suspect with it: each of them has its last chance.
    """
    if not _one.acquire(blocking=False):
        return False
    until.callback(_one.release)
    return True


def not_yet() -> RetryLater:
    """What a suspect raises that has to wait for another one."""
    return RetryLater("its worker died before; another image of which this is true is at work", _LOOK_AGAIN_SECONDS)


@contextmanager
def alone_if(unended_starts: int | None) -> Iterator[None]:
    """Do the block alone when the work was begun before and never ended. Raises RetryLater when it has to wait."""
    with ExitStack() as until:
        if unended_starts and not enter_alone(until):
            raise not_yet()
        yield
