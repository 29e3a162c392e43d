"""Database trouble that passes: told apart from our own mistakes, and outlasted where money was spent."""

from __future__ import annotations

import functools
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tasks.core.errors import LedgerUnavailable

PATIENCE_SECONDS = 120.0
"""How long a settlement is repeated before its claim is left to the sweep."""

_LONGEST_PAUSE_SECONDS = 5.0
_SQLITE_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
    }
)
# Connection trouble, transaction rollback (deadlock, serialization), resources, locks, operator intervention.
_POSTGRES_PASSING = ("08", "40", "53", "55", "57", "58")

_P = ParamSpec("_P")
_T = TypeVar("_T")


@contextmanager
def passing_trouble() -> Iterator[None]:
    """Raise LedgerUnavailable for what will pass: locks, deadlocks, a full disk, a server that is away."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, sqlite3.Error) as error:
        if not _passes(error):
            raise
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise LedgerUnavailable(f"the ledger is not available: {str(reason).strip()}") from error


def _passes(error: DBAPIError | PoolTimeoutError | sqlite3.Error) -> bool:
    if isinstance(error, sqlite3.Error):  # from the beginning of a transaction
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_PASSING
    if isinstance(error, PoolTimeoutError) or error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        return _passes(error.orig)
    state = getattr(error.orig, "sqlstate", None)
    # A connection that could not be made has no state.
    return isinstance(error, OperationalError) and (state is None or state.startswith(_POSTGRES_PASSING))


def patiently(move: Callable[_P, _T]) -> Callable[_P, _T]:
    """Repeat a move while the ledger is unavailable, for two minutes at most: what it records has been paid for."""

    @functools.wraps(move)
    def repeated(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause_seconds = 0.05
        while True:
            try:
                return move(*args, **kwargs)
            except LedgerUnavailable:
                if time.monotonic() + pause_seconds > deadline:
                    raise
            time.sleep(pause_seconds * random.uniform(0.5, 1.0))  # noqa: S311 not for secrets
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    return repeated
