"""Run another program for a limited time, with limited output, and leave nothing of it behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 64 * 1024
_EXIT_SECONDS = 1.0
"""How long a program may live on after it has closed both its outputs."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How the program ended. ``returncode`` is ``None`` when the deadline killed it, negative for a signal.

    ``stdout`` and ``stderr`` hold at most the first ``most_bytes`` of what it wrote.
    """

    returncode: int | None
    stdout: bytes
    stderr: bytes


def run_child(
    arguments: list[str], *, env: Mapping[str, str], cwd: Path, deadline_seconds: float, most_bytes: int = 1024 * 1024
) -> Finished:
    """Run the program without a shell, in a session of its own; at the deadline its whole process group is killed.

    Output beyond ``most_bytes`` is read and dropped, so that the program is never blocked by it. Raises OSError
    when it cannot be started, ValueError when an argument holds a NUL.
    """
    until = time.monotonic() + deadline_seconds
    with subprocess.Popen(
        arguments,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        killed = False
        try:
            stdout, stderr, in_time = _read(process, until, most_bytes)
            if in_time:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_EXIT_SECONDS)
        finally:
            killed = _kill_group(process)
            process.wait()
    by_us = killed and process.returncode == -signal.SIGKILL
    return Finished(None if by_us else process.returncode, stdout, stderr)


def _read(process: subprocess.Popen[bytes], until: float, most_bytes: int) -> tuple[bytes, bytes, bool]:
    """Read both pipes to their ends, or to the deadline; the third value says which."""
    assert process.stdout is not None
    assert process.stderr is not None
    kept = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as selector:
        for pipe in kept:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, until - time.monotonic()))
            if not ready:
                break
            for key, _ in ready:
                pipe = process.stdout if key.fd == process.stdout.fileno() else process.stderr
                chunk = os.read(key.fd, _CHUNK_BYTES)
                if not chunk:
                    selector.unregister(pipe)
                kept[pipe] += chunk[: most_bytes - len(kept[pipe])]
        in_time = not selector.get_map()
    return bytes(kept[process.stdout]), bytes(kept[process.stderr]), in_time


def _kill_group(process: subprocess.Popen[bytes]) -> bool:
    """Kill the program, if it runs, and its children. A reaped one is left alone: its number may be another's now."""
    if process.returncode is not None:
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    return True
