"""Taking turns at writing to one SQLite file: the threads of a process, and the processes of a host."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from types import TracebackType

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class WriteTurn:
    """A lock in the process, and one beside the file for all processes, held for the length of a transaction.

    Only the order of writers depends on it, never their correctness. SQLite makes a writer that finds the file locked
    sleep and look again, up to 100 ms at a time, while the file may be free (measured with two busy workers: half
    of the time that their threads waited for each other); a lock of the kernel's hands over at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._file: int | None = None

    def __enter__(self) -> None:
        self._threads.acquire()
        # Where there is no such lock, or no room for its file, SQLite's own waiting has to do.
        with contextlib.suppress(OSError):
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None and fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)
        self._threads.release()

    def close(self) -> None:
        """Give the file back."""
        with self._threads:
            if self._file is not None:
                os.close(self._file)
                self._file = None
