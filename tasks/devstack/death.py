"""Children that do not outlive their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_id: int | None = None) -> None:
    """In the child, before exec: on Linux, get SIGTERM when the parent dies, even by SIGKILL.

    ``parent_id`` is the parent's process id, to see that it has not died already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if parent_id is not None and os.getppid() != parent_id:
            os._exit(1)
