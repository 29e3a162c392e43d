"""Pause, cancel, retry and publish; budgets by model and day; pictures that kill their worker while delivered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tasks.ledger.schema import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what a person needs to stop a batch, to look, and to go on."""
    with op.batch_alter_table("imagechord_batch") as batch:
        batch.add_column(sa.Column("hold_publish", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("imagechord_image") as image:
        image.add_column(sa.Column("delivery_starts", sa.Integer(), nullable=True))
    with op.batch_alter_table("imagechord_attempt") as attempt:
        attempt.add_column(sa.Column("budget_day", sa.String(length=10), nullable=True))
    with op.batch_alter_table("imagechord_worker") as worker:
        worker.add_column(sa.Column("died_at", UtcDateTime(timezone=True), nullable=True))
    op.create_table(
        "imagechord_hold",
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("since", UtcDateTime(timezone=True), nullable=False),
        sa.Column("until", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["imagechord_batch.id"], name=op.f("fk_imagechord_hold_batch_id_imagechord_batch")
        ),
        sa.PrimaryKeyConstraint("batch_id", "model", name=op.f("pk_imagechord_hold")),
    )
    op.create_table(
        "imagechord_model_day",
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("reserved_usd_micros", sa.BigInteger(), nullable=False),
        sa.Column("spent_usd_micros", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model", "day", name=op.f("pk_imagechord_model_day")),
    )
    _create_revision()
    _find_what_is_staged()


def _find_what_is_staged() -> None:
    op.create_index(op.f("ix_imagechord_image_fingerprint"), "imagechord_image", ["fingerprint"])
    with op.batch_alter_table("imagechord_picture") as picture:
        picture.add_column(sa.Column("missing_in", sa.String(length=60), nullable=True))
    staged = sa.text("staging_key IS NOT NULL")
    op.create_index(
        "ix_imagechord_picture_staged",
        "imagechord_picture",
        ["bought_at", "fingerprint"],
        sqlite_where=staged,
        postgresql_where=staged,
    )


def _create_revision() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "imagechord_revision",
        sa.Column("id", number, autoincrement=True, nullable=False),
        sa.Column("image_id", number, nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("template", sa.String(length=100), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("unknowns", sa.Integer(), nullable=False),
        sa.Column("error_class", sa.String(length=20), nullable=True),
        sa.Column("error_step", sa.String(length=20), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("retried_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["imagechord_image.id"], name=op.f("fk_imagechord_revision_image_id_imagechord_image")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imagechord_revision")),
    )
    op.create_index(op.f("ix_imagechord_revision_image_id"), "imagechord_revision", ["image_id"])
