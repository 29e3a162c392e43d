"""One batch, carried through by one contestant, and what was seen of it on the servers' side."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.bench.contestants import Contestant, Submission
from tests.bench.processes import Peaks, peaks

_POLL_SECONDS = 0.25

Ending = Literal["summary", "stuck", "out of time"]


@dataclass(frozen=True)
class Run:
    """``seen`` is :meth:`tests.bench.world.World.stats`. Processor times are from before the submission to the end."""

    images: int
    submission: Submission
    ending: Ending
    seen: dict[str, Any]
    cpu_seconds: float
    server_cpu_seconds: float
    redis_cpu_seconds: float
    peaks: Peaks

    @property
    def lost(self) -> int | None:
        """Images that will never come into the CMS; ``None`` when the run was not given the time to its end."""
        return None if self.ending == "out of time" else self.images - int(self.seen["patched"])

    @property
    def first_charged_at(self) -> float:
        """When the first image was bought, in seconds since the epoch."""
        return float(self.seen["charged_at"][0])

    @property
    def images_per_second(self) -> float:
        """Published images per second, from the first charge to the last record that was written."""
        seconds = self.seen["last_patched_at"] - self.first_charged_at
        return float(self.seen["patched"]) / seconds

    def milliseconds_per_image(self, seconds: float) -> float:
        """A time that was used for all of them, shared out over those that were published."""
        return round(seconds * 1000 / max(1, self.seen["patched"]), 2)


def run(contestant: Contestant, source: Path, images: int, *, at_most_seconds: float) -> Run:
    """Submit and wait for the summary, until nothing happens any more, or until the time is up.

    The workers have been started, and the servers reset, by the caller.
    """
    made = contestant.made
    before = contestant.cpu_seconds(), made.server_cpu_seconds(), made.redis_cpu_seconds()
    pids = [process.pid for process in made.workers]
    with peaks(made.redis, pids) as peak:
        submission = contestant.submit(source)
        pids[:] = [process.pid for process in made.workers]
        ending = _wait(contestant, time.monotonic() + at_most_seconds)
    after = contestant.cpu_seconds(), made.server_cpu_seconds(), made.redis_cpu_seconds()
    cpu, server_cpu, redis_cpu = (late - early for late, early in zip(after, before, strict=True))
    return Run(images, submission, ending, made.stats(), cpu, server_cpu, redis_cpu, peak)


def _wait(contestant: Contestant, deadline: float) -> Ending:
    seen, since = None, time.monotonic()
    while (now := time.monotonic()) < deadline:
        progress = contestant.made.progress()
        if progress["slack"] >= contestant.messages:
            return "summary"
        if progress != seen:
            seen, since = progress, now
        elif now - since > contestant.patience_seconds:
            return "stuck"
        time.sleep(_POLL_SECONDS)
    return "out of time"
