"""Bringing a database to this version's schema with Alembic."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import inspect, select, text

from tasks.core.errors import ConfigurationError, LedgerUnavailable
from tasks.ledger import schema
from tasks.ledger.engine import Ledger

HEAD = "0005"
"""The newest revision; a test compares it with the scripts, so that start-up need not load Alembic."""

_VERSION_TABLE = "imagechord_alembic_version"


def current_revision(ledger: Ledger) -> str | None:
    """The database's revision, or ``None`` when it has none of our tables.

    Raises ConfigurationError when the database does not answer.
    """
    try:
        with ledger.read() as connection:
            if not inspect(connection).has_table(_VERSION_TABLE):
                return None
            found = connection.scalar(text(f"SELECT version_num FROM {_VERSION_TABLE}"))  # noqa: S608 a constant
    except LedgerUnavailable as error:
        where = ledger.url.render_as_string(hide_password=True)
        raise ConfigurationError(
            f"the ledger at {where} does not answer: {error}; start it, or correct IMAGECHORD_DATABASE_URL"
        ) from error
    return None if found is None else str(found)


def upgrade(ledger: Ledger) -> None:
    """Run the migrations that are missing, and give a new ledger its identity. Many may call it at once."""
    from alembic import command  # 0.2 s: paid only when there is something to migrate
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with ledger.write() as connection:
        ledger.take_turns(connection, "migrate")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if connection.scalar(select(schema.ledger.c.id)) is None:
            identity = {"id": str(uuid.uuid4()), "created_at": datetime.now(UTC)}
            connection.execute(schema.ledger.insert().values(identity))


def require_current(ledger: Ledger) -> None:
    """See that the schema is this version's. SQLite is migrated on the spot; PostgreSQL is never surprised.

    Raises ConfigurationError naming ``imagechord migrate``.
    """
    revision = current_revision(ledger)
    if revision == HEAD:
        return
    if ledger.is_sqlite:
        upgrade(ledger)
        return
    raise ConfigurationError(
        f"the ledger's schema is {revision or 'missing'}, this version needs {HEAD}; run: imagechord migrate"
    )
