"""A whole installation in a folder: private broker, ledger, worker processes, and a shop's own code beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from celery import Celery
from sqlalchemy import func, select

import tasks
from tasks import submission
from tasks.core.request import Request
from tasks.core.routing import CONTROL_QUEUE, START_BATCH
from tasks.core.states import State
from tasks.core.summary import BatchSummary
from tasks.core.views import ImageView
from tasks.devstack.death import die_with_parent
from tasks.devstack.valkey import EmbeddedValkey
from tasks.ledger import leases, reading, summing
from tasks.ledger.schema import attempt, worker
from tasks.services import Services
from tasks.settings import load_settings
from tests.stand_ins.anycap_api import AnycapApi
from tests.waiting import wait_until

PROJECT = Path(tasks.__file__).parents[1]

_QUICK = "deadline_seconds = 20\ntypical_seconds = 0.1\n"


# Where no day ends while the tests run.
_DAYTIME = "UTC" if 2 <= datetime.now(UTC).hour < 22 else "Etc/GMT+12"


def _model(alias: str, more: str) -> str:
    return f"""\
[models.{alias}]
provider = "anycap"
model = "{alias}-1"
price_usd = 0.03
price_date = 2026-11-01
price_source = "a test"
sizes = {{ mode = "list", sizes = ["64x64"] }}
{more}
"""


MODELS = (
    _model("quick", _QUICK)
    + _model("paced", _QUICK + "limits = { per_minute = 600 }")
    + _model("slow", "limits = { per_minute = 8 }")
    + _model("other", _QUICK)
    + _model("frail", _QUICK + 'fallback = ["other"]\n')
    + _model("editor", _QUICK + "references = 3")
    + _model("thrifty", _QUICK + f'budget_usd_per_day = 0.30\nlimits = {{ day_timezone = "{_DAYTIME}" }}')
)

PROMPTS = """\
[templates.tiny]
size = "64x64"
prompt = "A small picture of {name}."
"""

PATIENT = "worker_concurrency = 8\nusd_per_credit = 0.01\nallow_private_provider_urls = true\n"
"""imagechord.toml of a test in which nobody dies."""

NERVOUS = PATIENT + (
    "heartbeat_every_seconds = 1.0\nheartbeat_expires_seconds = 3.0\n"
    "sweep_every_seconds = 1.0\nunclaimed_after_seconds = 5.0\n"
)
"""imagechord.toml of a test in which somebody dies: noticed within seconds."""


def prompt_of(name: str) -> str:
    """What the template ``tiny`` makes of a name."""
    return f"A small picture of {name}."


def rows(names: Iterable[str], **columns: str) -> list[dict[str, str]]:
    """One row a name, which is its sku too."""
    return [{"sku": name, "name": name, **columns} for name in names]


class Worker:
    """One ``celery -A tasks worker`` process, leader of its own process group."""

    def __init__(self, stack: Stack, name: str, options: Sequence[str]) -> None:
        self.hostname = f"{name}@test"
        self.log = stack.folder / f"{name}.log"
        arguments = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*arguments, "--without-gossip", "--without-mingle", "--hostname", self.hostname, *options],
                env=stack.environment,
                cwd=stack.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 – one prctl call, no locks
            )

    @property
    def words(self) -> str:
        """Its log so far."""
        return self.log.read_text("utf-8", "replace")

    def kill(self) -> None:
        """``kill -9`` of the whole process group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> None:
        """Ask it to finish what it has in hand and go."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """End it, gently if that is quick; used at the end of a test."""
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


class Stack:
    """Everything of one installation. Use as a context manager.

    ``environment`` is what the workers get, and all they get; ``variables`` are added to it.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None, preferences: str = PATIENT) -> None:
        self.folder = folder
        self.workers: list[Worker] = []
        self._exit = ExitStack()
        self._preferences = preferences
        self._variables = dict(variables or {})

    def __enter__(self) -> Self:
        self.valkey = self._exit.enter_context(EmbeddedValkey())
        config = self.folder / "config"
        config.mkdir(parents=True)
        (config / "models.toml").write_text(MODELS)
        (config / "prompts.toml").write_text(PROMPTS)
        (config / "imagechord.toml").write_text(f'language = "en"\n{self._preferences}')
        self.environment = {
            **{name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("COVERAGE")},
            "PYTHONPATH": str(PROJECT),
            "PYTHONUNBUFFERED": "1",
            "IMAGECHORD_CONFIG": str(config),
            "IMAGECHORD_HOME": str(self.folder / "home"),
            "IMAGECHORD_OUTPUT": str(self.folder / "output"),
            "IMAGECHORD_REDIS_URL": self.valkey.url,
            **self._variables,
        }
        self.services = Services(load_settings(self.environment, self.folder))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self.workers:
            each.stop()
        self.shop.close()
        if "redis" in self.__dict__:
            self.redis.close()
        self.services.ledger.close()
        self._exit.close()

    @cached_property
    def shop(self) -> Celery:
        """The Celery app of another code base, which knows nothing but names of tasks and queues."""
        url = self.broker_url.replace("unix://", "redis+socket://").replace("db=0", "virtual_host=0")
        return Celery("shop", broker=url, set_as_current=False)

    @cached_property
    def redis(self) -> redis.Redis:
        """A look into the broker."""
        return redis.Redis.from_url(self.broker_url)

    @property
    def broker_url(self) -> str:
        """The private broker's, unless the variables name another."""
        return self.environment["IMAGECHORD_REDIS_URL"]

    def start_worker(self, name: str = "one", *options: str) -> Worker:
        """Start a worker and wait until it has registered."""
        started = Worker(self, name, options)
        self.workers.append(started)
        before = self._registrations(started.hostname)

        def registered() -> bool:
            assert started.process.poll() is None, f"the worker did not start:\n{started.words}"
            return self._registrations(started.hostname) > before and "ready." in started.words

        wait_until(registered, 30, f"the worker {name}")
        return started

    def _registrations(self, hostname: str) -> int:
        with self.services.ledger.read() as connection:
            return connection.scalar(select(func.count()).where(worker.c.hostname == hostname)) or 0

    def live_queues(self) -> set[str]:
        """The queues that living workers consume."""
        return leases.live_queues(self.services.ledger, timedelta(seconds=15))

    def submit(self, source: Any, **options: Any) -> str:
        """Write a batch into the ledger, without sending anything."""
        request = Request(source, **{"template": "tiny", "model": "quick", **options})
        return submission.submit(self.services, request).batch_id

    def start(self, batch_id: str) -> None:
        """Send ``imagechord.start_batch``, as another code base would."""
        self.shop.send_task(START_BATCH, args=(batch_id,), queue=CONTROL_QUEUE)

    def run(self, source: Any, timeout_seconds: float = 60.0, **options: Any) -> str:
        """Submit, start, and wait until the batch rests and its summary is out."""
        batch_id = self.submit(source, **options)
        self.start(batch_id)
        self.wait(batch_id, timeout_seconds)
        return batch_id

    def wait(self, batch_id: str, timeout_seconds: float = 60.0) -> None:
        """Wait until the batch rests and its summary has been sent."""
        try:
            wait_until(lambda: self.summary_of(batch_id) is not None, timeout_seconds, f"the end of {batch_id}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.states(batch_id)}\n{self.last_words()}") from None

    def last_words(self) -> str:
        """The ends of all workers' logs."""
        return "\n".join(f"--- {each.log.name}\n{each.words[-4000:]}" for each in self.workers)

    def summary_of(self, batch_id: str) -> dict[str, Any] | None:
        """The summary message that was sent, with Slack's error if there was one."""
        return summing.sent_message(self.services.ledger, batch_id)

    def counts(self, batch_id: str) -> BatchSummary:
        """The batch's figures, as the ledger has them."""
        return summing.summarise(self.services.ledger, batch_id)

    def images(self, batch_id: str) -> dict[str, ImageView]:
        """Every image by its key."""
        return {view.key: view for view in reading.images(self.services.ledger, batch_id)}

    def states(self, batch_id: str) -> dict[str, State]:
        """Every image's state by its key."""
        return {key: view.state for key, view in self.images(batch_id).items()}

    def paid_calls(self) -> int:
        """How many calls the ledger has written down."""
        with self.services.ledger.read() as connection:
            return connection.scalar(select(func.count()).select_from(attempt)) or 0

    def empty_broker(self) -> None:
        """Kill the broker with all it holds, and start it again at the same address."""
        process = self.valkey._process
        assert process is not None
        process.kill()
        process.wait()
        self.valkey.__enter__()

    def python(self, code: str) -> str:
        """Run code in a process of its own, with the stack's environment; returns what it prints."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "CI", "SSL_CERT_FILE")


def anycap_variables(api: AnycapApi, program: Path, folder: Path) -> dict[str, str]:
    """The environment in which ``anycap`` is this program, and its server is the stand-in."""
    folder.mkdir(parents=True)
    (folder / "anycap").symlink_to(program)
    return {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "ANYCAP_API_ENDPOINT": api.endpoint,
        "ANYCAP_API_KEY": "ak_secret-of-anycap",
    }
