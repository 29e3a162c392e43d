"""How long ``status`` and ``watch`` take with a full ledger: the questions themselves, and the command as a process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any, Literal

from tasks import progress
from tasks.ledger import summing
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import upgrade
from tasks.services import Services
from tasks.settings import load_settings
from tests.bench.installation import PROJECT
from tests.contract.ledger.large import fill
from tests.stand_ins.postgres import postgres

Database = Literal["sqlite", "postgres"]

_TURNS = 40
_PROCESS_TURNS = 10
_COMMAND = [sys.executable, "-c", "from tasks.cli.main import main; main()"]


def status_p95(images: int, batches: int = 10, database: Database = "sqlite") -> dict[str, Any]:
    """p50 and p95 in ms, with ``images`` rows in all: of ``status``, a tick of ``watch``, ``is_resting``, the process.

    ``process`` is ``imagechord status`` from exec to exit; ``process_start`` is ``imagechord --help`` in its place.
    """
    with TemporaryDirectory(prefix="imagechord-bench-") as name, _database_url(Path(name), database) as url:
        with closing(Ledger(parse_database_url(url))) as ledger:
            upgrade(ledger)
            batch_id = fill(ledger, images=images, batches=batches)[batches // 2]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "IMAGECHORD_DATABASE_URL": url}
        services = Services(load_settings(environment, Path(name)))
        questions: dict[str, tuple[Callable[[], object], int]] = {
            "status": (lambda: progress.of_summary(services, progress.summarise(services, batch_id)), _TURNS),
            "watch_tick": (lambda: progress.look(services, batch_id), _TURNS),
            "is_resting": (lambda: summing.is_resting(services.ledger, batch_id), _TURNS),
            "process": (lambda: _run(["status", batch_id], environment, name), _PROCESS_TURNS),
            "process_start": (lambda: _run(["--help"], environment, name), _PROCESS_TURNS),
        }
        figures: dict[str, Any] = {"images": images, "batches": batches, "database": database}
        for what, (ask, turns) in questions.items():
            figures |= _percentiles(what, ask, turns)
        services.ledger.close()
        return figures


@contextmanager
def _database_url(folder: Path, database: Database) -> Iterator[str]:
    if database == "sqlite":
        yield f"sqlite:///{folder / 'ledger.sqlite3'}"
        return
    with postgres() as server:
        yield server.create_database()


def _percentiles(what: str, ask: Callable[[], object], turns: int) -> dict[str, float]:
    ask()
    taken = []
    for _ in range(turns):
        began = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began) * 1000)
    parts = quantiles(taken, n=20, method="inclusive")
    return {f"{what}_p50_ms": round(parts[9], 2), f"{what}_p95_ms": round(parts[18], 2)}


def _run(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    subprocess.run([*_COMMAND, *arguments], env=environment, cwd=folder, check=True, capture_output=True)


def main() -> None:
    """``python -m tests.bench.status [IMAGES]``: both databases, a line each."""
    for database in ("sqlite", "postgres"):
        print(status_p95(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, database=database))


if __name__ == "__main__":
    main()
