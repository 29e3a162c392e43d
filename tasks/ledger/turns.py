"""Taking turns at writing to one SQLite file: the processes of a host."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class WriteTurn:
    """A lock beside the file, for all processes, held for the length of a transaction. One thread at a time uses it.

    Only the order of writers depends on it, never their correctness. SQLite makes a writer that finds the file locked
    sleep and look again, up to 100 ms at a time, while the file may be free (measured with two busy workers: half
    of the time that their threads waited for each other); a lock of the kernel's hands over at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> None:
        """Wait for the turn. Where there is no such lock, or no room for its file, SQLite's own waiting has to do."""
        with contextlib.suppress(OSError):
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX)

    def give_back(self) -> None:
        """Let the next process write."""
        if self._file is not None and fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
