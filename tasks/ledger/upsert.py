"""INSERT … ON CONFLICT: the same words in both databases, from different SQLAlchemy dialects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert of the connection's dialect, with ``on_conflict_do_nothing`` and ``…_do_update``."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def insert_new(connection: Connection, table: Table, unique: Sequence[Column[Any]], values: Mapping[str, Any]) -> bool:
    """Insert a row unless one with the same ``unique`` columns is there; whether it was inserted."""
    statement = insert_into(connection, table).values(values).on_conflict_do_nothing(index_elements=unique)
    # An insert's rowcount is not kept by every driver; what it returns is.
    return connection.execute(statement.returning(*unique)).first() is not None
