"""A Valkey and a real ``celery -A tasks worker``, for the time of a command."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tasks.devstack import launch
from tasks.devstack.death import start_child
from tasks.devstack.valkey import ValkeyFolder

_STOP_SECONDS = 600.0
_STOP_AT_ONCE_SECONDS = 3.0
_QUIET = ("--loglevel", "INFO", "--without-gossip", "--without-mingle", "--hostname", "embedded@%h")


class EmbeddedStack:
    """Started on entering, stopped gracefully on leaving: calls in flight are finished, they have been paid.

    ``url`` is the broker's. The worker's log goes to ``log``. When this process dies, by whatever signal, the worker
    finishes what it does and ends, and the broker after it.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self._folder = ValkeyFolder()
        self.url = self._folder.url
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = False

    def __enter__(self) -> Self:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._process = start_child(
            launch.command(self._folder.log, self._folder.command(), ("-A", "tasks", "worker", *_QUIET)),
            self.log,
            {**os.environ, "IMAGECHORD_REDIS_URL": self.url},
            append=True,
        )
        try:
            self._folder.wait(self._process)
        except BaseException:
            self._kill()
            raise
        return self

    @property
    def exited(self) -> bool:
        """Whether the worker has ended although nobody asked it to."""
        return self._process is not None and self._process.poll() is not None

    def last_words(self) -> str:
        """The end of the worker's log, for an error message."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-15:])

    def ask_to_stop(self) -> None:
        """Let the worker finish what it does and end, without waiting for that."""
        if self._process is not None and not self._asked:
            self._asked = True
            self._process.send_signal(signal.SIGTERM)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ask_to_stop()
        try:
            if self._process is not None:
                self._process.wait(_STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self._stop_at_once()
        finally:
            self._kill()

    def _stop_at_once(self) -> None:
        """Told a second time, the worker releases its claims: the next one need not wait until its lease runs out."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                self._process.wait(_STOP_AT_ONCE_SECONDS)

    def _kill(self) -> None:
        """End what is left: the worker, the broker, and every program they have started, whichever session it is in."""
        if self._process is not None:
            for process_id in [*_descendants(self._process.pid), self._process.pid]:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process_id, signal.SIGKILL)
            self._process.wait()
        self._folder.shut_down()
        self._folder.remove()


def _descendants(process_id: int) -> list[int]:
    """Children of a process, and theirs, as Linux lists them; none where it does not."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for listed in Path(f"/proc/{process_id}/task").glob("*/children"):
            for child in map(int, listed.read_text().split()):
                found += [child, *_descendants(child)]
    return found
