"""A Valkey on a TCP port that can be killed and started again, with its data or without."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.devstack.death import start_child
from tasks.devstack.valkey import _binary
from tests.stand_ins.ports import free_ports
from tests.waiting import wait_until


class ValkeyServer:
    """Writes every command to disk before it answers. ``options`` are more arguments of the server."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As redis-py writes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def address(self) -> tuple[str, int]:
        """For a proxy in front of it."""
        return "127.0.0.1", self.port

    def start(self) -> None:
        """Start it with what it finds on disk, and wait until that is loaded."""
        self.folder.mkdir(exist_ok=True)
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        arguments += ["--appendonly", "yes", "--maxmemory-policy", "noeviction", *self._options]
        self._process = start_child([_binary(), *arguments], self.folder / "log", append=True)
        wait_until(self._answers, 15, "Valkey's first answer")

    def kill(self) -> None:
        """``kill -9``."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def forget(self) -> None:
        """Throw away what is on disk."""
        shutil.rmtree(self.folder)

    def client(self) -> redis.Redis:
        """A look into it, which does not wait for a server that is not there."""
        return redis.Redis(port=self.port, retry=Retry(NoBackoff(), 0))

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:
                return True
            except redis.ConnectionError:  # not there yet, or still loading
                return False


@contextmanager
def valkey(folder: Path, *options: str) -> Iterator[ValkeyServer]:
    """Run one for the length of the block."""
    server = ValkeyServer(folder, *options)
    try:
        server.start()
        yield server
    finally:
        server.kill()
