"""Planning in a worker, shares by priority, limits that were changed live, and counts that read no rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tasks.ledger.schema import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what a batch of any size needs."""
    with op.batch_alter_table("imagechord_batch") as batch:
        batch.add_column(sa.Column("priority", sa.String(length=8), nullable=False, server_default="normal"))
        batch.add_column(sa.Column("request", sa.JSON(), nullable=True))
        batch.add_column(sa.Column("planner_id", sa.String(length=36), nullable=True))
        batch.add_column(sa.Column("planner_no", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("planner_seen_at", UtcDateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("problems", sa.JSON(), nullable=False, server_default="[]"))
        batch.create_index(op.f("ix_imagechord_batch_phase"), ["phase"])
    op.create_table(
        "imagechord_source_part",
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["imagechord_batch.id"], name=op.f("fk_imagechord_source_part_batch_id_imagechord_batch")
        ),
        sa.PrimaryKeyConstraint("batch_id", "number", name=op.f("pk_imagechord_source_part")),
    )
    if op.get_context().dialect.name == "postgresql":
        # Compressing ten megabytes that are read once and deleted takes three times as long as writing them.
        op.execute("ALTER TABLE imagechord_source_part ALTER COLUMN data SET STORAGE EXTERNAL")
    op.create_table(
        "imagechord_limit_override",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("changed_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_imagechord_limit_override")),
    )
    _index_images()


def _index_images() -> None:
    """Let releases, status and watch read indexes only."""
    op.drop_index(op.f("ix_imagechord_image_state_batch_id_model"), "imagechord_image")
    op.create_index(
        op.f("ix_imagechord_image_state_model_batch_id_id_not_before"),
        "imagechord_image",
        ["state", "model", "batch_id", "id", "not_before"],
        unique=False,
    )
    op.drop_index(op.f("ix_imagechord_image_batch_id_state_model"), "imagechord_image")
    op.create_index(
        op.f("ix_imagechord_image_batch_id_state_model_reused"),
        "imagechord_image",
        ["batch_id", "state", "model", "reused"],
    )
    missed = "'cancelled', 'failed', 'held', 'refused', 'unknown'"
    for name, columns, states in (
        ("at_rest", ["batch_id", "moved_at", "state", "model"], f"{missed}, 'published'"),
        ("missed", ["batch_id", "state", "error_class", "error_step", "id"], missed),
    ):
        where = sa.text(f"state IN ({', '.join(sorted(states.split(', ')))})")
        op.create_index(
            f"ix_imagechord_image_{name}", "imagechord_image", columns, sqlite_where=where, postgresql_where=where
        )
