"""The three that are compared: this project, a plain thread-pool script, a stock Celery canvas."""

from __future__ import annotations

import csv
import json
import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.bench.installation import Installation
from tests.bench.processes import Spent, wait_for
from tests.waiting import wait_until

_HAND_OVER = """\
import json, sys, time
{hand_over}
began_at, cpu = time.time(), time.process_time()
hand_over(*sys.argv[1:])
seconds, cpu = time.time() - began_at, time.process_time() - cpu
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
print(json.dumps({{"began_at": began_at, "seconds": seconds, "cpu_seconds": cpu, "peak_rss_bytes": peak}}))
"""
_SUBMIT = """\
from tasks.batches import submit
def hand_over(source, name):
    submit(source, template="product", model="bench", name=name)
"""
_LAUNCH = "from tests.bench.competitors.stock_canvas import launch as hand_over"


@dataclass(frozen=True)
class Submission:
    """Handing a batch over: when it began, in seconds since the epoch, and what that used.

    Python's start and its imports are only in the memory.
    """

    began_at: float
    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int


class Contestant(ABC):
    """One way to do the work, in one installation.

    ``messages`` is how many Slack messages a whole batch brings. ``patience_seconds`` is how long it may do nothing
    visible before it counts as stuck: longer than any pause it makes.
    """

    name: ClassVar[str]
    messages: ClassVar[int] = 1
    patience_seconds: ClassVar[float] = 20.0

    def __init__(self, made: Installation) -> None:
        self.made = made

    @abstractmethod
    def start(self, workers: int) -> None:
        """Start so many worker processes and wait until they are ready."""

    @abstractmethod
    def submit(self, source: Path) -> Submission:
        """Hand a CSV over."""

    def cpu_seconds(self) -> float:
        """Processor time of the processes that do the work, so far."""
        return self.made.cpu_seconds()

    def _handed_over(self, code: str, *arguments: str) -> Submission:
        log = self.made.folder / "submit.log"
        log.unlink(missing_ok=True)
        process = self.made.start("submit", ["-c", _HAND_OVER.format(hand_over=code), *arguments])
        try:
            wait_for(process)
        except subprocess.CalledProcessError as error:
            raise RuntimeError(log.read_text()) from error
        return Submission(**json.loads(log.read_text().splitlines()[-1]))


class Imagechord(Contestant):
    """This project: ``celery -A tasks worker``, ``submit``."""

    name = "imagechord"
    messages = 2
    patience_seconds = 90.0

    def __init__(self, made: Installation, *options: str) -> None:
        super().__init__(made)
        self.options = options

    def start(self, workers: int) -> None:
        """Workers with default settings, or with the options."""
        self.made.start_workers(workers, *self.options)

    def submit(self, source: Path) -> Submission:
        """``tasks.batches.submit`` in a process of its own."""
        return self._handed_over(_SUBMIT, str(source), source.stem)


class StockCanvas(Contestant):
    """``tests/bench/competitors/stock_canvas.py``: Celery's default pool, one child a core."""

    name = "stock canvas"

    def start(self, workers: int) -> None:
        """Workers of the stock app; ready when all consume."""
        for _number in range(workers):
            self.made.start_worker_process("tests.bench.competitors.stock_canvas")
        # A worker that listens to its mailbox consumes its queues, too.
        mailboxes = "_kombu.binding.celery.pidbox"
        wait_until(lambda: self.made.redis.scard(mailboxes) == workers, 60, "every worker")

    def submit(self, source: Path) -> Submission:
        """Send the chord from a process of its own."""
        return self._handed_over(_LAUNCH, str(source))


class ThreadPool(Contestant):
    """``tests/bench/competitors/thread_pool.py``: one process does everything, whatever ``workers`` says."""

    name = "thread pool"

    def start(self, workers: int) -> None:
        """Run it with no rows, to know what its start alone takes: the others' is not counted either."""
        self._start_spent = wait_for(self._run(write_rows(self.made.folder / "none.csv", 0, "none")))

    def submit(self, source: Path) -> Submission:
        """Start the script; it goes on by itself."""
        began_at = time.time()
        self.made.workers.append(self._run(source))
        return Submission(began_at, 0.0, 0.0, 0)

    def cpu_seconds(self) -> float:
        """Without what its start took."""
        return max(0.0, super().cpu_seconds() - self._start_spent.cpu_seconds) if self.made.workers else 0.0

    def _run(self, source: Path) -> subprocess.Popen[bytes]:
        return self.made.start("script", ["-m", "tests.bench.competitors.thread_pool", str(source)])

    _start_spent: Spent


CONTESTANTS: tuple[type[Contestant], ...] = (Imagechord, ThreadPool, StockCanvas)


def write_rows(path: Path, count: int, name: str, side: int = 64) -> Path:
    """A CSV of so many products, whose keys begin with ``name``."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sku", "name", "color", "size"])
        writer.writerows(
            [f"{name}-{number:06d}", f"{name} {number}", "red", f"{side}x{side}"] for number in range(count)
        )
    return path
