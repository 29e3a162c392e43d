"""What processes cost, read from /proc: processor time and memory of a process with all its children."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SAMPLE_EVERY_SECONDS = 0.25


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, those that it has outlived included.

    A process that has ended counts as long as nobody has waited for it.
    """
    return sum(_own_cpu_seconds(each) for each in _tree(pid))


def rss_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants; what they share counts for each."""
    return sum(_own_rss_bytes(each) for each in _tree(pid))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            pids = children.read_text().split()
        except OSError:  # the thread has ended
            continue
        for child in pids:
            yield from _tree(int(child))


def _own_cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # utime, stime, and the same of the children that have been waited for
    return sum(int(ticks) for ticks in fields[11:15]) / _TICKS_PER_SECOND


def _own_rss_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


@dataclass(frozen=True)
class Spent:
    """What a process that has ended has used."""

    cpu_seconds: float
    peak_rss_bytes: int


def wait_for(process: subprocess.Popen[bytes]) -> Spent:
    """Wait for the end of a child, and see what it has used. Raises CalledProcessError when it failed."""
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Spent(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


@dataclass
class Peaks:
    """The largest values that were seen. ``redis_bytes`` is what the data took above the beginning."""

    redis_bytes: int = 0
    rss_bytes: int = 0
    _base_bytes: int = field(default=0, repr=False)

    def look(self, broker: redis.Redis, pids: Iterable[int]) -> None:
        """Take one sample."""
        used = int(broker.info("memory")["used_memory"])
        self._base_bytes = self._base_bytes or used
        self.redis_bytes = max(self.redis_bytes, used - self._base_bytes)
        self.rss_bytes = max([self.rss_bytes, *map(rss_bytes, pids)])


@contextmanager
def peaks(broker: redis.Redis, pids: list[int]) -> Iterator[Peaks]:
    """Sample Redis and each of the processes (the largest counts) four times a second; ``pids`` may grow meanwhile."""
    seen, stop = Peaks(), threading.Event()
    seen.look(broker, pids)

    def sample() -> None:
        while not stop.wait(_SAMPLE_EVERY_SECONDS):
            seen.look(broker, list(pids))

    thread = threading.Thread(target=sample, name="bench-peaks", daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
        seen.look(broker, pids)
