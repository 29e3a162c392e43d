"""Answers that come later, webhooks of our own, reference pictures and fallbacks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tasks.ledger.schema import UtcDateTime

revision = "0004"
down_revision = "0003"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add jobs, events, and what images and batches say about them."""
    with op.batch_alter_table("imagechord_batch") as batch:
        batch.add_column(sa.Column("webhook_url", sa.Text(), nullable=True))
    with op.batch_alter_table("imagechord_image") as image:
        image.add_column(sa.Column("reference", sa.JSON(none_as_null=True), nullable=True))
        image.add_column(sa.Column("asked_model", sa.String(length=100), nullable=True))
        image.add_column(sa.Column("notifies", sa.Boolean(), nullable=False, server_default=sa.false()))
    _make_room_for_fallbacks()
    _create_job()
    _create_event()


def _make_room_for_fallbacks() -> None:
    with op.batch_alter_table("imagechord_hold") as hold:
        hold.add_column(sa.Column("falls_back", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("imagechord_revision") as lineage:
        lineage.add_column(sa.Column("fell_back_to", sa.String(length=100), nullable=True))
    fell_back = sa.text("asked_model IS NOT NULL")
    op.create_index(
        "ix_imagechord_image_fell_back",
        "imagechord_image",
        ["batch_id", "asked_model", "model", "state"],
        sqlite_where=fell_back,
        postgresql_where=fell_back,
    )


def _create_job() -> None:
    op.create_table(
        "imagechord_job",
        sa.Column("image_id", _NUMBER, nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(length=100), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("message", sa.JSON(), nullable=False),
        sa.Column("submitted_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("due_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("look_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("called_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("said", sa.LargeBinary(), nullable=True),
        sa.Column("ended_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["image_id"], ["imagechord_image.id"], name=op.f("fk_imagechord_job_image_id_imagechord_image")
        ),
        sa.PrimaryKeyConstraint("image_id", "fence", name=op.f("pk_imagechord_job")),
    )
    still_open = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_imagechord_job_open", "imagechord_job", ["look_at"], sqlite_where=still_open, postgresql_where=still_open
    )


def _create_event() -> None:
    op.create_table(
        "imagechord_event",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("image_id", _NUMBER, nullable=True),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("happened_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("not_before", UtcDateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("gave_up_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["imagechord_batch.id"], name=op.f("fk_imagechord_event_batch_id_imagechord_batch")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imagechord_event")),
    )
    untold = sa.text("delivered_at IS NULL AND gave_up_at IS NULL")
    op.create_index(
        "ix_imagechord_event_untold",
        "imagechord_event",
        ["batch_id", "id"],
        sqlite_where=untold,
        postgresql_where=untold,
    )
