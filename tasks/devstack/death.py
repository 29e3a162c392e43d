"""Children that do not outlive their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_id: int | None = None) -> None:
    """In the child, before exec: on Linux, get SIGTERM when the parent dies, even by SIGKILL.

    ``parent_id`` is the parent's process id, to see that it has not died already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if parent_id is not None and os.getppid() != parent_id:
            os._exit(1)


def start_child(
    arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None, *, append: bool = False
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own: Ctrl-C stops its owner, which then stops what it has started."""
    with log.open("ab" if append else "wb") as stream:
        return subprocess.Popen(
            arguments,
            env=environment,
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 – one prctl call, no locks
        )
