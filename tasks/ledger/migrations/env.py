"""Alembic's entry: runs on the connection that :func:`tasks.ledger.migrate.upgrade` hands over."""

from __future__ import annotations

from alembic import context

from tasks.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="imagechord_alembic_version",
    # SQLite cannot alter columns in place.
    render_as_batch=True,
    # The caller's transaction is the only one: a failed migration leaves nothing behind.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
