"""``scripts/bench``: each row is measured with real processes; prints a table and writes JSON."""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import func, select

from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.schema import image
from tests.bench.installation import PROJECT, Installation, installation
from tests.waiting import wait_until

Result = dict[str, Any]

_SUBMIT = """\
import json, resource, sys, time
from tasks.batches import submit
begin = time.perf_counter()
submit(sys.argv[1], template="product", model="bench")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
print(json.dumps({"seconds": round(time.perf_counter() - begin, 2), "peak_rss_mb": round(peak)}))
"""


def warm_start(_images: int) -> Result:
    """From exec of ``imagechord run`` with changed rows to the first published picture, best and worst of five."""
    measured = []
    with TemporaryDirectory(prefix="imagechord-bench-") as name:
        folder = Path(name)
        for turn in range(6):
            source = write_rows(folder / "rows.csv", 24, f"turn {turn}")
            begin = time.time()
            arguments = ["run", str(source), "--template", "product", "--model", "preview"]
            program = [sys.executable, "-c", "from tasks.cli.main import main; main()"]
            subprocess.run([*program, *arguments], env=_environment(), cwd=folder, check=True, capture_output=True)
            measured.append(round(first_published(folder, begin) - begin, 2))
    return {
        "cold_seconds": measured[0],
        "warm_best_seconds": min(measured[1:]),
        "warm_worst_seconds": max(measured[1:]),
    }


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT)}


def first_published(folder: Path, since: float) -> float:
    """When the first picture was published after a moment, in seconds since the epoch."""
    ledger = Ledger(parse_database_url(f"sqlite:///{folder / '.imagechord' / 'ledger.sqlite3'}"))
    with ledger.read() as connection:
        moment = connection.scalar(
            select(func.min(image.c.published_at)).where(image.c.created_at > datetime.fromtimestamp(since, UTC))
        )
    ledger.close()
    assert moment is not None
    return float(moment.timestamp())


def submit(images: int) -> Result:
    """Plan and submit a CSV of so many rows: seconds, peak memory of the process, what Redis holds then."""
    with installation() as made:
        source = write_rows(made.folder / "rows.csv", images, "bench")
        printed = subprocess.run(
            [sys.executable, "-c", _SUBMIT, str(source)],
            env=made.environment,
            cwd=made.folder,
            check=True,
            capture_output=True,
            text=True,
        )
        redis_bytes = made.redis.info("memory")["used_memory_dataset"]
        return {"images": images, **json.loads(printed.stdout), "redis_dataset_kb": round(redis_bytes / 1000)}


def throughput(images: int, workers: int = 2) -> Result:
    """A fast provider, 64 px pictures: images per second, and what each costs in processor time over all workers."""
    with installation() as made:
        made.reset_servers(side=64)
        made.start_workers(workers)
        source = write_rows(made.folder / "rows.csv", images, "bench")
        subprocess.run(
            [sys.executable, "-c", _SUBMIT, str(source)], env=made.environment, cwd=made.folder, check=True,
            capture_output=True,
        )  # fmt: skip
        begin, cpu = time.time(), made.cpu_seconds()
        await_end(made, images)
        seen = made.stats()
        return {
            "images": images,
            "workers": workers,
            "images_per_second": round(images / (seen["last_patched_at"] - begin), 1),
            "cpu_ms_per_image": round((made.cpu_seconds() - cpu) / images * 1000, 1),
            "first_image_seconds": round(seen["first_patched_at"] - begin, 2),
            "summary_lag_seconds": round(seen["slack"][-1][0] - seen["last_patched_at"], 2),
            "worker_rss_mb": round(made.rss_megabytes()),
            "charged_twice": seen["charged_twice"],
        }


def await_end(made: Installation, images: int) -> None:
    """Until every picture is in the CMS and the summary in Slack."""

    def ended() -> bool:
        seen = made.stats()
        return bool(seen["patched"] == images and len(seen["slack"]) == 2)

    wait_until(ended, 60 + images / 5, f"the end of {images} images")


def write_rows(path: Path, count: int, name: str) -> Path:
    """A CSV of so many products."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sku", "name", "color", "size"])
        writer.writerows([f"S-{number:06d}", f"{name} {number}", "red", "64x64"] for number in range(count))
    return path


ROWS: dict[str, tuple[Callable[[int], Result], tuple[int, ...]]] = {
    "warm_start": (warm_start, (24,)),
    "submit": (submit, (1_000, 10_000, 100_000)),
    "throughput": (throughput, (2_000,)),
}


def main() -> None:
    """Measure the rows that were asked for, all of them by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="default: all")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the figures go as JSON")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "load": os.getloadavg(),
        "rows": {},
    }
    for name in arguments.rows or ROWS:
        measure, sizes = ROWS[name]
        for size in sizes:
            result = measure(size)
            figures["rows"].setdefault(name, []).append(result)
            print(f"{name:12} " + "  ".join(f"{key}={value}" for key, value in result.items()), flush=True)
    arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
