"""A private PostgreSQL cluster on a unix socket, from Debian's binaries; it cannot outlive the tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.stand_ins.supervisor import supervised
from tests.waiting import wait_until

_UNPRIVILEGED = "postgres"
_SETTINGS = {
    "listen_addresses": "",
    # Nothing here has to survive a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # Whoever asks how a query is planned decides what is known of the tables.
    "autovacuum": "off",
}


class PostgresUnavailable(Exception):
    """There is no PostgreSQL server to start here."""


@dataclass(frozen=True)
class PostgresServer:
    """A cluster; the socket is in ``folder``, the data below it. ``command`` runs the server.

    It listens on ``port`` of 127.0.0.1 too, if there is one, and lets everybody in.
    """

    folder: Path
    command: Sequence[str]
    port: int | None = None
    _running: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._running.enter_context(supervised({"postgres": self.command}, self.folder))
        wait_until(self.answers, what="PostgreSQL's first answer")

    def stop(self) -> None:
        """Cut every connection at once, whatever it does, and end; what was committed is kept."""
        file = self.folder / "data" / "postmaster.pid"
        if file.exists():
            os.kill(int(file.read_text().split()[0]), signal.SIGINT)
            wait_until(lambda: not file.exists(), what="PostgreSQL's end")
        self._running.close()

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of one of its databases."""
        return f"postgresql://{_UNPRIVILEGED}@/{database}?host={self.folder}"

    def create_database(self) -> str:
        """A new empty database; returns its URL."""
        name = f"ledger_{uuid.uuid4().hex[:12]}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A connection of its own, in autocommit."""
        where = {"host": str(self.folder), "port": str(self.port or 5432)}
        return psycopg.connect(**where, user=_UNPRIVILEGED, dbname=database, autocommit=True)

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


def _binary(name: str) -> str:
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    found = str(versions[-1]) if versions else shutil.which(name)
    if not found:
        raise PostgresUnavailable(f"no {name} in /usr/lib/postgresql/*/bin or PATH: install Debian's postgresql")
    return found


def _unprivileged(folder: Path) -> list[str]:
    """How to run as somebody who is not root, which PostgreSQL refuses; ``folder`` becomes theirs."""
    if os.geteuid() != 0:
        return []
    try:
        shutil.chown(folder, _UNPRIVILEGED, _UNPRIVILEGED)
    except LookupError as error:
        raise PostgresUnavailable("PostgreSQL refuses root, and there is no user 'postgres' to run it as") from error
    return ["setpriv", f"--reuid={_UNPRIVILEGED}", f"--regid={_UNPRIVILEGED}", "--clear-groups"]


@contextmanager
def postgres(port: int | None = None) -> Iterator[PostgresServer]:
    """Start a cluster, on a port of 127.0.0.1 as well if one is given.

    Raises PostgresUnavailable when the machine has no server programs.
    """
    initdb, server = _binary("initdb"), _binary("postgres")
    # Short: the path of a socket may have 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        as_somebody = _unprivileged(folder)
        data = str(folder / "data")
        subprocess.run(
            [*as_somebody, initdb, "-D", data, "-U", _UNPRIVILEGED, "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        on_port = {"listen_addresses": "127.0.0.1", "port": port} if port else {}
        options = [f"-c{name}={value}" for name, value in (_SETTINGS | on_port).items()]
        argv = [*as_somebody, server, "-D", data, "-k", str(folder), *options]
        cluster = PostgresServer(folder, argv, port)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
