"""INSERT … ON CONFLICT: the same words in both databases, from different SQLAlchemy dialects.

Each statement is made once: making it costs more than running it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: Connection, table: Table, unique: Sequence[Column[Any]], values: Mapping[str, Any]) -> bool:
    """Insert a row unless one with the same ``unique`` columns is there; whether it was inserted."""
    return connection.execute(_new(connection.dialect.name, table, tuple(unique)), dict(values)).first() is not None


def insert_or_replace(
    connection: Connection, table: Table, unique: Sequence[Column[Any]], values: Mapping[str, Any]
) -> None:
    """Insert a row, or put its other values into the one with the same ``unique`` columns."""
    connection.execute(_replacing(connection.dialect.name, table, tuple(unique), tuple(values)), dict(values))


@cache
def _new(dialect: str, table: Table, unique: tuple[Column[Any], ...]) -> Any:
    # An insert's rowcount is not kept by every driver; what it returns is.
    return _insert(dialect, table).on_conflict_do_nothing(index_elements=unique).returning(*unique)


@cache
def _replacing(dialect: str, table: Table, unique: tuple[Column[Any], ...], names: tuple[str, ...]) -> Any:
    insert = _insert(dialect, table)
    others = {name: insert.excluded[name] for name in names if table.c[name] not in set(unique)}
    return insert.on_conflict_do_update(index_elements=unique, set_=others)


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
