"""One installation to be measured: stand-in servers, a broker, a folder and processes that work in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import redis
from sqlalchemy import func, select

import tasks
from tasks.devstack.death import die_with_parent
from tasks.devstack.valkey import EmbeddedValkey
from tasks.ledger.schema import worker
from tasks.services import Services
from tasks.settings import load_settings
from tests.bench import processes
from tests.waiting import wait_until

PROJECT = Path(tasks.__file__).parents[1]
_CMS = """\
[generic]
per_minute = 60_000
in_flight = 1000
"""
"""As asked of it for each patch, but never in the way: the competitors know no such limit."""

_MODEL = """\
[models.bench]
provider = "{provider}"
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
    server: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @cached_property
    def services(self) -> Services:
        """The same installation, seen from this process."""
        return Services(load_settings(self.environment, self.folder))

    def reset_servers(self, **settings: Any) -> None:
        """Fresh counters and new settings of the stand-ins; see :func:`tests.bench.world.new_world`."""
        body = json.dumps(settings).encode()
        urllib.request.urlopen(f"{self.url}/reset", body, timeout=30).close()

    def progress(self) -> dict[str, int]:
        """How many images are charged, refused, stored and patched, and how many messages Slack has."""
        return self._ask("progress")

    def stats(self) -> dict[str, Any]:
        """Everything the stand-ins have seen; grows with the batch."""
        return self._ask("stats")

    def _ask(self, what: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/{what}", timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def start(self, name: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start Python with arguments, in the folder; its words go to ``<name>.log`` there."""
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 – one prctl call, no locks
            )

    def start_worker_process(self, app: str, *options: str) -> None:
        """Start one ``celery -A APP worker``, without waiting for it."""
        name = f"worker-{len(self.workers)}"
        arguments = ["-m", "celery", "-A", app, "worker", "--loglevel", "WARNING", "--hostname", f"{name}@bench"]
        self.workers.append(self.start(name, [*arguments, *options]))

    def start_workers(self, count: int, *options: str) -> None:
        """Start workers of the project and wait until all are ready."""
        for _number in range(count):
            self.start_worker_process("tasks", *options)

        def ready() -> bool:
            with self.services.ledger.read() as connection:
                return connection.scalar(select(func.count()).select_from(worker)) == count

        wait_until(ready, 60, "every worker")

    def stop_workers(self) -> None:
        """Ask them to go, and wait."""
        for process in self.workers:
            process.terminate()
        for process in self.workers:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.workers.clear()

    def cpu_seconds(self) -> float:
        """User and system time that the workers and their children have used so far."""
        return sum(processes.cpu_seconds(process.pid) for process in self.workers)

    def server_cpu_seconds(self) -> float:
        """The same of the stand-in servers."""
        return processes.cpu_seconds(self.server.pid)

    def redis_cpu_seconds(self) -> float:
        """The same of the broker."""
        used = self.redis.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])

    def rss_megabytes(self) -> float:
        """Resident memory of the largest worker."""
        return max(processes.rss_bytes(process.pid) for process in self.workers) / 1e6


@contextmanager
def installation(
    preferences: str = "", model: str = "", provider: str = "tests.bench.provider:HttpImages"
) -> Iterator[Installation]:
    """Everything of one row, in a temporary folder; ended and removed afterwards.

    ``preferences`` is the text of ``imagechord.toml``, ``model`` more lines of the model ``bench``.
    """
    with ExitStack() as entered:
        folder = Path(entered.enter_context(TemporaryDirectory(prefix="imagechord-bench-")))
        valkey = entered.enter_context(EmbeddedValkey())
        server, url = entered.enter_context(_far_ends())
        config = folder / "config"
        config.mkdir()
        (config / "models.toml").write_text(_MODEL.format(provider=provider) + model)
        (config / "imagechord.toml").write_text(preferences)
        (config / "cms.toml").write_text(_CMS)
        client = redis.Redis.from_url(valkey.url)
        entered.callback(client.close)
        made = Installation(folder, url, _environment(url, valkey.url), client, server)
        entered.callback(_close_ledger, made)
        entered.callback(made.stop_workers)
        yield made


@contextmanager
def _far_ends() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.servers"], cwd=PROJECT, stdout=subprocess.PIPE, start_new_session=True
    )
    assert server.stdout is not None
    try:
        yield server, f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def _environment(url: str, broker_url: str) -> dict[str, str]:
    """The settings of all contestants; each reads those that it knows."""
    return {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "IMAGECHORD_REDIS_URL": broker_url,
        "CELERY_BROKER_URL": f"redis+socket://{broker_url.removeprefix('unix://').partition('?')[0]}",
        "S3_BUCKET": "bench",
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "CMS_URL": f"{url}/cms",
        "SLACK_WEBHOOK_URL": f"{url}/slack",
        "IMAGE_API_URL": f"{url}/images",
    }


def _close_ledger(made: Installation) -> None:
    if made.services.ledger_exists():
        made.services.ledger.close()
