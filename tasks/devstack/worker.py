"""A real ``celery -A tasks worker`` as a child of the command."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tasks.devstack.valkey import die_with_parent

_STOP_SECONDS = 600.0


class EmbeddedWorker:
    """Started on entering, stopped gracefully on leaving: calls in flight are finished, they have been paid.

    Its log goes to ``log``. ``environment`` is added to this process's own.
    """

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        self._environment = {**os.environ, **environment}
        self.process: subprocess.Popen[bytes] | None = None
        self._asked = False

    def __enter__(self) -> Self:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        arguments = [sys.executable, "-m", "celery", "-A", "tasks", "worker"]
        arguments += ["--loglevel", "INFO", "--without-gossip", "--without-mingle", "--hostname", "embedded@%h"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                arguments,
                env=self._environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 – one prctl call, no locks
            )
        return self

    @property
    def exited(self) -> bool:
        """Whether the worker has ended although nobody asked it to."""
        return self.process is not None and self.process.poll() is not None

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-15:])

    def ask_to_stop(self) -> None:
        """Let it finish what it does and end, without waiting for that."""
        if self.process is not None and not self._asked:
            self._asked = True
            self.process.send_signal(signal.SIGTERM)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is None or self.exited:
            return
        self.ask_to_stop()
        try:
            self.process.wait(_STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self._kill(self.process)

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """End the worker and whatever it has started, whichever session that is in."""
        for child in [*_descendants(process.pid), process.pid]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        process.wait()


def _descendants(pid: int) -> list[int]:
    """Children of a process, and theirs, as Linux lists them; none where it does not."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for listed in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, listed.read_text().split()):
                found += [child, *_descendants(child)]
    return found
