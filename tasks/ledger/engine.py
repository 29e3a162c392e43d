"""Connecting to the ledger: SQLite with one writer at a time, or PostgreSQL."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from tasks.core.errors import ConfigurationError
from tasks.ledger import schema
from tasks.ledger.groups import GroupWriter
from tasks.ledger.trouble import passing_trouble
from tasks.ledger.turns import WriteTurn

_BUSY_TIMEOUT_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 0.02


def parse_database_url(text: str) -> URL:
    """Read IMAGECHORD_DATABASE_URL: ``sqlite:///…`` or ``postgresql://…`` (``postgres://`` is accepted).

    Raises ConfigurationError for anything else, naming the database.
    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ConfigurationError(
            "IMAGECHORD_DATABASE_URL is not a database URL; write it like postgresql://user:password@host/name"
        ) from error
    if url.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise ConfigurationError(
            f"IMAGECHORD_DATABASE_URL names {url.get_backend_name()!r}; the ledger needs PostgreSQL or SQLite"
        )
    if url.database in {None, "", ":memory:"}:
        raise ConfigurationError(
            "IMAGECHORD_DATABASE_URL names a SQLite database in memory, which no other process could see; "
            "write it like sqlite:////var/lib/imagechord/ledger.sqlite3"
        )
    return url.set(drivername="sqlite")


class Ledger:
    """A connection pool and the two kinds of transaction: ``read()`` and ``write()``.

    One per process and safe for its threads. On SQLite writers queue, and commit together
    (:class:`tasks.ledger.groups.GroupWriter`).

    Rows are locked in one order, so that no two moves can deadlock: images (several of them by id), then the
    picture, then the batch. Both transactions raise LedgerUnavailable for trouble that passes.
    """

    def __init__(self, url: URL) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.frozen: dict[str, dict[str, Any]] = {}
        """Catalogues by batch, kept once read: every claim needs one, and what is in them never changes."""
        self.engine = _sqlite_engine(url) if self.is_sqlite else _postgres_engine(url)
        snapshot = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reader = self.engine.execution_options(**({} if self.is_sqlite else snapshot))
        self._writer = _group_writer(self.engine) if self.is_sqlite else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot for all of the block's queries."""
        with passing_trouble(), self._reader.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, *, lasting: bool = True, hurry: bool = False) -> Iterator[Connection]:
        """A transaction that may change rows; commits at the end, rolls back on an exception.

        On SQLite one that is not ``lasting`` may be undone by a power cut (never by the death of a process), and
        does not wait for the disk: for moves that cost nothing to repeat. One in a ``hurry``, for whom somebody
        waits who is not ours, goes before the writers of other processes that are not.
        """
        if self._writer is not None:
            with passing_trouble(), self._writer.transaction(lasting=lasting, hurry=hurry) as connection:
                yield connection
        else:
            with passing_trouble(), self.engine.begin() as connection:
                yield connection

    def take_turns(self, connection: Connection, name: str) -> None:
        """Let one transaction at a time pass here for ``name``; on SQLite there is only one anyway."""
        if not self.is_sqlite:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"imagechord {name}", 0))))

    def clock(self, connection: Connection) -> datetime:
        """The one clock that leases go by: the server's, or that of the host that SQLite's file is on."""
        if self.is_sqlite:
            return datetime.now(UTC)
        return cast("datetime", connection.scalar(select(func.clock_timestamp())))

    def identity(self) -> str:
        """The id of this ledger, given to it by its first migration."""
        with self.read() as connection:
            return str(connection.execute(select(schema.ledger.c.id)).scalar_one())

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()
        if self._writer is not None:
            self._writer.close()


def _as_json(value: Any) -> str:
    """As the standard library writes it, but six times faster and without escapes for what is not ASCII."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # half of a surrogate pair, or an integer of more than 64 bits
        return json.dumps(value)


def _postgres_engine(url: URL) -> Engine:
    # A worker's threads hold a connection only for the length of a transaction.
    return create_engine(
        url,
        pool_size=10,
        max_overflow=20,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 5},
        json_serializer=_as_json,
    )


def _group_writer(engine: Engine) -> GroupWriter:
    full, normal = (engine.execution_options(imagechord_synchronous=word) for word in ("FULL", "NORMAL"))
    return GroupWriter(full, normal, WriteTurn(Path(f"{engine.url.database}-turn")))


def _sqlite_engine(url: URL) -> Engine:
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        # The URL's own timeout wins.
        url.set(query={"timeout": str(_BUSY_TIMEOUT_SECONDS), **url.query}),
        pool_size=20,
        max_overflow=20,
        connect_args={"check_same_thread": False},
        json_serializer=_as_json,
    )

    waits_seconds = float(str(engine.url.query["timeout"]))

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # pysqlite's own transaction control starts transactions late and DEFERRED; ours are explicit.
        connection.isolation_level = None
        _to_wal(connection, waits_seconds)
        connection.execute("PRAGMA foreign_keys=ON").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # Past SQLAlchemy, whose statements cost ten times as much; every picture has nine transactions.
        sqlite: Any = connection.connection.driver_connection
        synchronous = connection.get_execution_options().get("imagechord_synchronous")
        if synchronous is None:
            sqlite.execute("BEGIN DEFERRED")
            return
        # FULL: a claim or a settlement that was committed survives a power cut.
        sqlite.execute(f"PRAGMA synchronous={synchronous}")
        sqlite.execute("BEGIN IMMEDIATE")

    return engine


def _to_wal(connection: sqlite3.Connection, waits_seconds: float) -> None:
    """Turn a file's first journal into a WAL. SQLite does not wait there for whoever writes, whatever its timeout."""
    deadline = time.monotonic() + waits_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_AGAIN_SECONDS)
        else:
            return
