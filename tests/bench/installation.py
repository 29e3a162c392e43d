"""One installation to be measured: stand-in servers, a broker, a folder and real workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import redis
from sqlalchemy import func, select

import tasks
from tasks.devstack.valkey import EmbeddedValkey
from tasks.ledger.schema import worker
from tasks.services import Services
from tasks.settings import load_settings
from tests.waiting import wait_until

PROJECT = Path(tasks.__file__).parents[1]
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MODEL = """\
[models.bench]
provider = "tests.bench.provider:HttpImages"
model = "bench"
price_usd = 0.001
price_date = 2026-11-22
price_source = "the benchmark"
"""


@dataclass
class Installation:
    """``environment`` is what workers and commands get. The far ends answer at ``url``."""

    folder: Path
    url: str
    environment: dict[str, str]
    redis: redis.Redis
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def services(self) -> Services:
        """The same installation, seen from this process."""
        return Services(load_settings(self.environment, self.folder))

    def reset_servers(self, **settings: Any) -> None:
        """Fresh counters and new settings of the stand-ins; see :mod:`tests.bench.servers`."""
        body = json.dumps(settings).encode()
        urllib.request.urlopen(f"{self.url}/reset", body, timeout=10).close()

    def stats(self) -> dict[str, Any]:
        """What the stand-ins have seen."""
        with urllib.request.urlopen(f"{self.url}/stats", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def start_workers(self, count: int) -> None:
        """Start workers and wait until all are ready."""
        services = self.services
        for number in range(count):
            arguments = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "WARNING"]
            log = (self.folder / f"worker-{number}.log").open("wb")
            self.workers.append(
                subprocess.Popen(
                    [*arguments, "--hostname", f"bench-{number}@here"],
                    env=self.environment,
                    cwd=self.folder,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
            log.close()

        def ready() -> bool:
            with services.ledger.read() as connection:
                return connection.scalar(select(func.count()).select_from(worker)) == count

        wait_until(ready, 60, "every worker")

    def stop_workers(self) -> None:
        """Ask them to go, and wait."""
        for process in self.workers:
            process.terminate()
        for process in self.workers:
            process.wait(60)
        self.workers.clear()

    def cpu_seconds(self) -> float:
        """User and system time that the workers have used so far."""
        return sum(_cpu_seconds(process.pid) for process in self.workers)

    def rss_megabytes(self) -> float:
        """Resident memory of the largest worker."""
        return max(_rss_bytes(process.pid) for process in self.workers) / 1e6


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def _rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


@contextmanager
def installation(preferences: str = "") -> Iterator[Installation]:
    """Everything of one row, in a temporary folder; ended and removed afterwards."""
    with ExitStack() as entered:
        folder = Path(entered.enter_context(TemporaryDirectory(prefix="imagechord-bench-")))
        valkey = entered.enter_context(EmbeddedValkey())
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.servers"], cwd=PROJECT, stdout=subprocess.PIPE, start_new_session=True
        )
        entered.callback(server.wait)
        entered.callback(server.kill)
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        entered.callback(server.stdout.close)
        config = folder / "config"
        config.mkdir()
        (config / "models.toml").write_text(_MODEL)
        (config / "imagechord.toml").write_text(preferences)
        environment = {
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "IMAGECHORD_REDIS_URL": valkey.url,
            "S3_BUCKET": "bench",
            "AWS_ENDPOINT_URL_S3": url,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_REGION": "us-east-1",
            "CMS_URL": f"{url}/cms",
            "SLACK_WEBHOOK_URL": f"{url}/slack",
            "BENCH_URL": url,
        }
        client = redis.Redis.from_url(valkey.url)
        entered.callback(client.close)
        made = Installation(folder, url, environment, client)
        entered.callback(made.stop_workers)
        yield made
