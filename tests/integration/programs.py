"""A private stack for one test: a Valkey, a home of its own, and the processes that share them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tasks.devstack.valkey import EmbeddedValkey
from tests.stand_ins.supervisor import Commands, supervised

ROOT = Path(__file__).parents[2]
CELERY = (sys.executable, "-m", "celery")
QUICK = ("--without-gossip", "--without-mingle", "--loglevel", "INFO")
WORKER = (*CELERY, "-A", "tasks", "worker", *QUICK)


@dataclass(frozen=True)
class Stack:
    """``environment`` is what every process of the stack gets; logs are in ``folder``."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def kombu_url(self) -> str:
        """The broker, as a Celery app of somebody else's writes it."""
        socket = self.environment["IMAGECHORD_REDIS_URL"].removeprefix("unix://").partition("?")[0]
        return f"redis+socket://{socket}?virtual_host=0"

    @contextmanager
    def running(self, commands: Commands, cwd: Path = ROOT, **environment: str) -> Iterator[None]:
        """Run processes of the stack until the block is left."""
        with supervised(commands, self.folder, {**self.environment, **environment}, cwd):
            yield

    def log(self, name: str) -> str:
        """What a process has said so far."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""


@contextmanager
def private_stack(folder: Path) -> Iterator[Stack]:
    """A Valkey for the time of the block; what a developer has set in the environment is out of sight."""
    with EmbeddedValkey() as valkey:
        ours = ("IMAGECHORD_", "CMS_", "S3_", "AWS_", "SLACK_", "STAGING_", "PUBLIC_")
        hidden = {name: "" for name in os.environ if name.startswith(ours)}
        environment = {
            "PYTHONPATH": str(ROOT),
            "IMAGECHORD_REDIS_URL": valkey.url,
            "IMAGECHORD_HOME": str(folder / "home"),
            "IMAGECHORD_OUTPUT": str(folder / "output"),
        }
        yield Stack(folder, hidden | environment)
