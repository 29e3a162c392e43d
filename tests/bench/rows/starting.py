"""What it takes until the first picture is published: the warm start of a run, and submitting at any size."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import func, select

from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.schema import batch, image
from tests.bench.contestants import Contestant, Imagechord, StockCanvas, write_rows
from tests.bench.installation import PROJECT, Installation, installation
from tests.bench.processes import peaks
from tests.bench.suite import Figures, Measured, Order, Row
from tests.waiting import wait_until

_AT_MOST_SECONDS = 120.0


def warm_start(order: Order) -> Iterator[Measured]:
    """From exec of ``imagechord run`` with changed rows to the first published picture."""
    if Imagechord.name not in order.who:
        return
    measured = []
    with TemporaryDirectory(prefix="imagechord-bench-") as name:
        folder = Path(name)
        for turn in range(2 if order.quick else 6):
            source = write_rows(folder / "rows.csv", order.size, f"turn-{turn}")
            begin = time.time()
            arguments = ["run", str(source), "--template", "product", "--model", "preview"]
            program = [sys.executable, "-c", "from tasks.cli.main import main; main()"]
            environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
            subprocess.run([*program, *arguments], env=environment, cwd=folder, check=True, capture_output=True)
            measured.append(round(_first_published(folder, begin) - begin, 2))
    cold, *warm = measured
    figures: Figures = {"cold_seconds": cold, "warm_best_seconds": min(warm), "warm_worst_seconds": max(warm)}
    yield Measured(Imagechord.name, figures)


def _first_published(folder: Path, since: float) -> float:
    """When the first picture was published after a moment, in seconds since the epoch."""
    ledger = Ledger(parse_database_url(f"sqlite:///{folder / '.imagechord' / 'ledger.sqlite3'}"))
    with ledger.read() as connection:
        moment = connection.scalar(
            select(func.min(image.c.published_at)).where(image.c.created_at > datetime.fromtimestamp(since, UTC))
        )
    ledger.close()
    assert moment is not None
    return float(moment.timestamp())


def submit(order: Order) -> Iterator[Measured]:
    """From the call of ``submit`` until the first picture is published; the rest of the batch is left undone."""
    kinds: tuple[type[Contestant], ...] = (Imagechord, StockCanvas)
    for kind in kinds:
        if kind.name not in order.who:
            continue
        with installation() as made:
            contestant = kind(made)
            source = write_rows(made.folder / "batch.csv", order.size, "batch")
            contestant.start(1)
            made.reset_servers()
            yield Measured(kind.name, _submitted(contestant, source))


def _submitted(contestant: Contestant, source: Path) -> Figures:
    made = contestant.made
    with peaks(made.redis, [process.pid for process in made.workers]) as peak:
        submission = contestant.submit(source)
        first_at = _first_patched_at(made)
        planned_at = _planned_at(made) if isinstance(contestant, Imagechord) else None
    began_at = submission.began_at
    return {
        "seconds": round(max(submission.seconds, (planned_at or 0.0) - began_at), 2),
        "call_seconds": round(submission.seconds, 3),
        "first_image_seconds": _between(began_at, first_at),
        "first_image_after_planning_seconds": _between(planned_at, first_at),
        "submit_peak_rss_mb": round(submission.peak_rss_bytes / 1e6),
        "worker_peak_rss_mb": round(peak.rss_bytes / 1e6),
        "redis_peak_mb": round(peak.redis_bytes / 1e6, 2),
    }


def _between(early: float | None, late: float | None) -> float | None:
    return None if early is None or late is None else round(late - early, 2)


def _first_patched_at(made: Installation) -> float | None:
    """When the first picture was published; ``None`` when it was not in time."""
    try:
        wait_until(lambda: made.progress()["patched"], _AT_MOST_SECONDS, "the first picture")
    except AssertionError:
        return None
    return float(made.stats()["first_patched_at"])


def _planned_at(made: Installation) -> float:
    """When everything was planned and accepted: the ledger knows, wherever that was done."""
    with made.services.ledger.read() as connection:
        started_at = connection.scalar(select(batch.c.started_at))
    assert started_at is not None
    return float(started_at.timestamp())


ROWS = (
    Row(
        name="warm_start",
        title="`imagechord run` of {size} pictures, from its start to the first one published",
        measure=warm_start,
        sizes=(24,),
        quick_sizes=(8,),
        minutes=1,
        headline=(("warm_best_seconds",),),
    ),
    Row(
        name="submit",
        title="plan and submit {size} rows, with one worker waiting",
        measure=submit,
        sizes=(1_000, 10_000, 100_000),
        quick_sizes=(50, 100),
        minutes=6,
        goal="100,000 rows in ≤ 10 s and ≤ 150 MB, the first image ≤ 3 s after planning ends, Redis < 30 MB.",
        compared=("seconds", "submit_peak_rss_mb", "redis_peak_mb", "first_image_seconds"),
        grows=("seconds", "submit_peak_rss_mb", "worker_peak_rss_mb", "redis_peak_mb", "first_image_seconds"),
        headline=(("seconds",), ("first_image_after_planning_seconds",), ("submit_peak_rss_mb",), ("redis_peak_mb",)),
    ),
)
