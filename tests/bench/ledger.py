"""How fast the ledger is on this machine: submit, then claim, settle, upload and publish every image.

Usage: scripts/bench-ledger [--images 5000] [--threads 16] [--url postgresql://…]   (default: a SQLite file)
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from tasks.core.dispatch import Ticket
from tasks.ledger import sweeping
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import upgrade
from tasks.ledger.reading import images, state_counts
from tasks.ledger.submitting import CHUNK, add_images, create_batch, start
from tasks.ledger.summing import is_resting
from tests.contract.ledger.scene import MODEL, Scene, new_batch, planned


def timed(what: str, count: int, act: Callable[[], object]) -> None:
    """Do it and print how long it took."""
    begin = time.perf_counter()
    act()
    seconds = time.perf_counter() - begin
    print(f"{what:34} {seconds:8.2f} s  {count / seconds:10,.0f} /s")


def submit(ledger: Ledger, batch_id: str, count: int) -> None:
    """A started batch of so many images."""
    create_batch(ledger, new_batch(batch_id, digest=batch_id))
    for first in range(0, count, CHUNK):
        chunk = [planned(n, fingerprint=f"{batch_id}-{n:050}"[-64:]) for n in range(first, min(first + CHUNK, count))]
        add_images(ledger, batch_id, chunk)
    start(ledger, batch_id, total=count, skipped=0, notes=[])


def bench(ledger: Ledger, count: int, threads: int) -> None:
    """Everything that happens to a batch."""
    scene = Scene(ledger)
    for number in range(9):
        submit(ledger, f"other-{number}", count // 10)
    timed(f"submit {count} images", count, lambda: submit(ledger, "b", count))
    tickets: list[Ticket] = []
    timed("release in waves of 500", count, lambda: _release_all(scene, tickets, count))
    with ThreadPoolExecutor(threads) as pool:
        timed("claim + settle (2 transactions)", count, lambda: list(pool.map(scene.generate, tickets)))
        timed("upload (read + transaction)", count, lambda: list(pool.map(scene.upload, tickets)))
    for what, ask in {
        "state_counts": lambda: state_counts(ledger, "b"),
        "is_resting": lambda: is_resting(ledger, "b"),
        "unclaimed_before": lambda: sweeping.unclaimed_before(ledger, scene.batch("b").created_at),
        "releasable": lambda: sweeping.releasable(ledger),
        "resting_unsaid": lambda: sweeping.resting_unsaid(ledger),
    }.items():
        timed(what, 1, ask)
    timed("read every image", count, lambda: sum(1 for _ in images(ledger, "b")))
    print(f"{'memory':34} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MB")


def _release_all(scene: Scene, tickets: list[Ticket], count: int) -> None:
    window = 0
    while len(tickets) < count:
        window += 500
        tickets += [dispatch.ticket for dispatch in scene.release("b", window, MODEL)]


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--url")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = arguments.url or f"sqlite:///{folder}/ledger.sqlite3"
        with closing(Ledger(parse_database_url(url))) as ledger:
            upgrade(ledger)
            bench(ledger, arguments.images, arguments.threads)


if __name__ == "__main__":
    main()
