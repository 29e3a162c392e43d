"""Group commit on SQLite: what several threads write at about the same time reaches the disk in one transaction."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine

from tasks.ledger.turns import WriteTurn

_MOST_MEMBERS = 32
"""In one group: other processes wait for their turn."""
_LOST_COMMITTER_SECONDS = 0.05


class _Group:
    """An open transaction and who waits for its end. ``error`` is why nothing of it was kept."""

    def __init__(self, connection: Connection, *, lasting: bool) -> None:
        self.connection = connection
        self.transaction = connection.begin()
        self.lasting = lasting
        self.members = 0
        self.ended = threading.Event()
        self.error: Exception | None = None


class GroupWriter:
    """Runs write transactions of this process one after the other, and commits those together that are waiting.

    Each member is a savepoint: its own failure undoes its own writes only. Nobody returns before the group is
    committed, and when that fails everybody hears of it. ``full`` waits for the disk at commit, ``normal`` does not.
    """

    def __init__(self, full: Engine, normal: Engine, turn: WriteTurn) -> None:
        self._engines = {True: full, False: normal}
        self._turn = turn
        self._lock = threading.Lock()
        self._waiting: deque[None] = deque()
        self._open: _Group | None = None

    @contextmanager
    def transaction(self, *, lasting: bool, hurry: bool) -> Iterator[Connection]:
        """Be a member of a group. Raises what SQLAlchemy or sqlite3 raise."""
        with self._my_turn():
            group = self._join(lasting=lasting, hurry=hurry)
            try:
                with self._savepoint(group):
                    yield group.connection
            finally:
                # Who comes next continues the group, and commits it if nobody comes after that.
                if group is self._open and (not self._waiting or self._is_full(group)):
                    self._end(group)
        while not group.ended.wait(_LOST_COMMITTER_SECONDS):
            with self._lock:
                if group is self._open:
                    self._end(group)
        if group.error is not None:
            raise group.error

    def close(self) -> None:
        """Give the turn's file back."""
        self._turn.close()

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        self._waiting.append(None)
        try:
            self._lock.acquire()
        finally:
            self._waiting.pop()
        try:
            yield
        finally:
            self._lock.release()

    def _is_full(self, group: _Group) -> bool:
        return group.members >= _MOST_MEMBERS or self._turn.is_wanted()

    def _join(self, *, lasting: bool, hurry: bool) -> _Group:
        if self._open is not None and lasting and not self._open.lasting:
            self._end(self._open)
        if self._open is None:
            self._open = self._begin(lasting=lasting, hurry=hurry)
        self._open.members += 1
        return self._open

    def _begin(self, *, lasting: bool, hurry: bool) -> _Group:
        self._turn.take(hurry=hurry)
        with contextlib.ExitStack() as undone:
            undone.callback(self._turn.give_back)
            connection = undone.enter_context(self._engines[lasting].connect())
            group = _Group(connection, lasting=lasting)
            undone.pop_all()
        return group

    @contextmanager
    def _savepoint(self, group: _Group) -> Iterator[None]:
        sqlite = _sqlite(group)
        sqlite.execute("SAVEPOINT member")
        try:
            yield
            sqlite.execute("RELEASE member")
        except BaseException as error:
            if sqlite.in_transaction:
                sqlite.execute("ROLLBACK TO member")
                sqlite.execute("RELEASE member")
            else:  # a full disk and the like: SQLite has undone the whole transaction
                group.error = error if isinstance(error, Exception) else RuntimeError(repr(error))
                self._end(group)
            raise

    def _end(self, group: _Group) -> None:
        """Commit, unless it has failed; tell the members. Raises nothing."""
        self._open = None
        try:
            if group.error is None:
                group.transaction.commit()
        except Exception as error:  # noqa: BLE001 – whatever it is, the members raise it
            group.error = error
            with contextlib.suppress(Exception):
                _sqlite(group).rollback()
        finally:
            with contextlib.suppress(Exception):
                group.connection.close()
            self._turn.give_back()
            group.ended.set()


def _sqlite(group: _Group) -> Any:
    """The driver's connection: SQLAlchemy's savepoints cost ten times as much."""
    return group.connection.connection.driver_connection
