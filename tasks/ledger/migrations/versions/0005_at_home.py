"""What a CMS had before, what else is told to Slack, and what models have cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tasks.ledger.schema import UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add columns (without copying the table of images: that would lose its trigger), an index and a table."""
    op.add_column("imagechord_image", sa.Column("replaced", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("imagechord_image", sa.Column("rolled_back_at", UtcDateTime(timezone=True), nullable=True))
    settled = sa.text("cost_usd_micros IS NOT NULL")
    op.create_index(
        "ix_imagechord_attempt_settled",
        "imagechord_attempt",
        ["model", "cost_usd_micros"],
        sqlite_where=settled,
        postgresql_where=settled,
    )
    op.add_column("imagechord_summary", sa.Column("posted", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("imagechord_summary", sa.Column("update_due_at", UtcDateTime(timezone=True), nullable=True))
    op.create_index(op.f("ix_imagechord_summary_update_due_at"), "imagechord_summary", ["update_due_at"])
    op.create_table(
        "imagechord_notice",
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("since", UtcDateTime(timezone=True), nullable=False),
        sa.Column("worker_id", sa.String(length=36), nullable=False),
        sa.Column("claimed_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("sent_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("message", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("posted", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("update_due_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["imagechord_batch.id"], name=op.f("fk_imagechord_notice_batch_id_imagechord_batch")
        ),
        sa.PrimaryKeyConstraint("batch_id", "kind", "name", "since", name=op.f("pk_imagechord_notice")),
    )
    op.create_index(op.f("ix_imagechord_notice_update_due_at"), "imagechord_notice", ["update_due_at"])
