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
    with op.batch_alter_table("imagechord_image") as image:
        image.add_column(sa.Column("reference", sa.JSON(none_as_null=True), nullable=True))
        image.add_column(sa.Column("asked_model", sa.String(length=100), nullable=True))
        image.add_column(sa.Column("notifies", sa.Boolean(), nullable=False, server_default=sa.false()))
    _make_room_for_fallbacks()
    published = sa.text("state = 'published'")
    op.create_index(
        "ix_imagechord_image_published",
        "imagechord_image",
        ["key", "created_at"],
        sqlite_where=published,
        postgresql_where=published,
    )
    _create_references()
    _create_job()
    _create_webhook()
    _create_event()
    _write_events_of_images()


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


def _create_references() -> None:
    op.create_table(
        "imagechord_reference",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("staging_key", sa.Text(), nullable=False),
        sa.Column("staged_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("leaving", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_imagechord_reference")),
    )
    op.create_index(op.f("ix_imagechord_reference_staged_at_sha256"), "imagechord_reference", ["staged_at", "sha256"])
    op.create_table(
        "imagechord_reference_use",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=400), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["imagechord_batch.id"],
            name=op.f("fk_imagechord_reference_use_batch_id_imagechord_batch"),
        ),
        sa.PrimaryKeyConstraint("sha256", "batch_id", "key", name=op.f("pk_imagechord_reference_use")),
    )
    op.create_index(op.f("ix_imagechord_reference_use_batch_id"), "imagechord_reference_use", ["batch_id"])


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


def _create_webhook() -> None:
    op.create_table(
        "imagechord_webhook",
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("sender_id", sa.String(length=36), nullable=True),
        sa.Column("leased_until", UtcDateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("not_before", UtcDateTime(timezone=True), nullable=True),
        sa.Column("gave_up_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("begun_round", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("ended_round", sa.Integer(), nullable=False, server_default="0"),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["imagechord_batch.id"], name=op.f("fk_imagechord_webhook_batch_id_imagechord_batch")
        ),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_imagechord_webhook")),
    )


def _create_event() -> None:
    op.create_table(
        "imagechord_event",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("image_id", _NUMBER, nullable=True),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
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


# A migration that makes SQLite copy the table of images (batch mode with recreate) loses the trigger: make it anew.
_TOLD = "'generated', 'uploaded', 'published', 'failed', 'refused', 'cancelled', 'held', 'unknown'"
_WHEN = f"NEW.notifies AND NEW.state <> OLD.state AND NEW.state IN ({_TOLD})"
_DETAILS = ("model", "public_url", "cost_usd_micros", "error_class", "error_step", "error_message")
_INSERT = (
    "INSERT INTO imagechord_event (batch_id, image_id, type, details, happened_at) "
    "VALUES (NEW.batch_id, NEW.id, 'image.' || NEW.state, {json}({details}), {now})"
)


def _write_events_of_images() -> None:
    """Whoever moves an image, one at a time or thousands, its event is in the same transaction."""
    details = ", ".join(f"'{name}', NEW.{name}" for name in _DETAILS)
    if op.get_context().dialect.name == "sqlite":
        # As SQLAlchemy writes times.
        insert = _INSERT.format(json="json_object", details=details, now="strftime('%Y-%m-%d %H\\:%M\\:%f000', 'now')")
        op.execute(
            "CREATE TRIGGER imagechord_image_event AFTER UPDATE OF state ON imagechord_image "
            f"WHEN {_WHEN} BEGIN {insert}; END"
        )
        return
    insert = _INSERT.format(json="json_build_object", details=details, now="clock_timestamp()")
    op.execute(
        "CREATE FUNCTION imagechord_write_event() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {insert}; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER imagechord_image_event AFTER UPDATE OF state ON imagechord_image FOR EACH ROW "
        f"WHEN ({_WHEN}) EXECUTE FUNCTION imagechord_write_event()"
    )
