"""The ledger's tables. Ids and enums are text, money is integer micro-dollars, times are UTC.

What each table is for:

* ``ledger``   one row: the identity of this ledger, also registered in Redis.
* ``batch``    one row per submitted batch, with its catalogue frozen and its money.
* ``image``    one row per image to publish: where it is, who holds it, what it cost.
* ``attempt``  one row per paid call.
* ``picture``  one row per fingerprint that is bought or being bought: nothing is bought twice.
* ``thumbnail`` the small JPEG of a picture, for the contact sheet.
* ``skipped_row`` rows left out with ``--skip-bad-rows``.
* ``source_part`` the rows of a batch that a worker is still to plan, as they came.
* ``worker``   one row per worker process: the lease of everything it has claimed.
* ``summary``  one row per batch and round: claimed, sent, marked.
* ``notice``   one row per episode in which a batch is held: told to Slack once.
* ``limit_override`` a limit that an operator changed while the cluster ran.
* ``hold``     what of a batch may not be bought (or moved at all) for now, and why.
* ``model_day`` the money of a model that has a budget for each day.
* ``revision`` what an image was before a retry or a fallback: its end, and what it was made by.
* ``job``      one row per call that a provider answers later: what it takes to ask about it, and to go on after it.
* ``webhook``  one row per batch that tells somebody of itself: whom, who is just telling, and how that goes.
* ``event``    what a batch's webhook is still to be told, or has been. A trigger writes those of images.
* ``reference`` pictures to start from that lie in staging, by the digest of their bytes.
* ``reference_use`` which rows of a batch start from which of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    and_,
    false,
    literal_column,
)

from tasks.core.states import ENDED, WAITING, State

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite would silently drop the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: they are a bug of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime given to the ledger")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give the zone back."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


# SQLite counts rowids only for INTEGER PRIMARY KEY.
_Id = BigInteger().with_variant(Integer, "sqlite")


def _time(name: str) -> Column[Any]:
    return Column(name, UtcDateTime)


ledger = Table(
    "imagechord_ledger",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

batch = Table(
    "imagechord_batch",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("source", Text, nullable=False),
    Column("template", String(100), nullable=False),
    Column("phase", String(12), nullable=False, index=True),  # planning, refused, started, cancelled
    Column("priority", String(8), nullable=False, server_default="normal"),  # low, normal, high
    Column("request", JSON(none_as_null=True)),  # what a worker is to plan it by; null: its submitter plans it
    Column("planner_id", String(36)),  # the worker that plans it
    Column("planner_no", Integer, nullable=False, server_default="0"),  # grows with every planner: older ones are late
    _time("planner_seen_at"),
    Column("problems", JSON, nullable=False, server_default="[]"),  # why it was refused: a sentence, then each problem
    Column("total", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("catalogue", JSON, nullable=False),  # {"models": {alias: spec}, "templates": {name: spec}}
    Column("columns", JSON, nullable=False),  # the source's own header, in order
    Column("key_pattern", Text, nullable=False),
    Column("notes", JSON, nullable=False),
    Column("digest", String(64), nullable=False, index=True),  # of the rows and options: the same run again
    Column("idempotency_key", String(200), unique=True),
    Column("budget_usd_micros", BigInteger),
    Column("reserved_usd_micros", BigInteger, nullable=False),
    Column("spent_usd_micros", BigInteger, nullable=False),
    Column("hold_publish", Boolean, nullable=False, server_default=false()),  # a person looks before the CMS is written
    Column("created_at", UtcDateTime, nullable=False),
    _time("started_at"),
)

image = Table(
    "imagechord_image",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("batch_id", String(32), ForeignKey(batch.c.id), nullable=False),
    Column("line", Integer, nullable=False),
    Column("key", String(400), nullable=False),
    Column("variant", Integer, nullable=False),
    Column("template", String(100), nullable=False),
    Column("model", String(100), nullable=False),
    Column("prompt", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("native_size", String(16), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("row", JSON, nullable=False),
    Column("reference", JSON(none_as_null=True)),  # the pictures it starts from: [{"sha256", "staging_key", …}]
    Column("asked_model", String(100)),  # before a fallback took its place
    Column("notifies", Boolean, nullable=False, server_default=false()),  # its batch has a webhook
    Column("state", String(12), nullable=False),
    Column("dispatch_no", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("worker_id", String(36)),
    Column("attempts", Integer, nullable=False),  # paid calls, in total
    Column("unknowns", Integer, nullable=False),  # of these, calls whose outcome is not known
    Column("delivery_attempts", Integer, nullable=False),  # of the step it is in
    # Starts of a delivery without an end, counted once its message was lost. 0 too while its worker died in its call.
    Column("delivery_starts", Integer),
    Column("reserved_usd_micros", BigInteger, nullable=False),
    Column("cost_usd_micros", BigInteger, nullable=False),
    Column("reused", Boolean, nullable=False),
    _time("not_before"),
    Column("error_class", String(20)),
    Column("error_step", String(20)),
    Column("error_message", Text),
    Column("output_key", Text),
    Column("public_url", Text),
    Column("cms_receipt", Text),
    Column("replaced", JSON(none_as_null=True)),  # {"value": what the CMS had there before, where it can be read}
    _time("rolled_back_at"),  # when that was put back
    Column("created_at", UtcDateTime, nullable=False),
    Column("moved_at", UtcDateTime, nullable=False),
    _time("generated_at"),
    _time("published_at"),
    UniqueConstraint("batch_id", "key", "variant"),
    Index(None, "batch_id", "state", "model", "reused"),  # what is asked of one batch; it counts without the rows
    Index(None, "state", "model", "batch_id", "id", "not_before"),  # what releases and the sweep ask of all
    Index(None, "fingerprint"),  # who needs a picture, before its staged copy is removed
)


def _in_states(states: Iterable[State]) -> ColumnElement[bool]:
    """Spelled out: a query that gives the states as parameters does not match an index that names them."""
    return image.c.state.in_([literal_column(f"'{state}'") for state in sorted(states)])


AT_REST = _in_states(ENDED | WAITING)
"""Nothing will move these by itself. The index below is written once for an image: recent ends and the last move."""

MISSED = _in_states((ENDED | WAITING) - {State.PUBLISHED})
"""These failed or wait. The index below is written for them alone: reasons, how often, and the first examples."""

Index(
    "ix_imagechord_image_at_rest",
    *(image.c.batch_id, image.c.moved_at, image.c.state, image.c.model),
    sqlite_where=AT_REST,
    postgresql_where=AT_REST,
)
Index(
    "ix_imagechord_image_missed",
    *(image.c.batch_id, image.c.state, image.c.error_class, image.c.error_step, image.c.id),
    sqlite_where=MISSED,
    postgresql_where=MISSED,
)

FELL_BACK = image.c.asked_model.is_not(None)
Index(
    "ix_imagechord_image_fell_back",
    *(image.c.batch_id, image.c.asked_model, image.c.model, image.c.state),
    sqlite_where=FELL_BACK,
    postgresql_where=FELL_BACK,
)

PUBLISHED = _in_states({State.PUBLISHED})
"""The index below finds the newest picture of a key."""

Index(
    "ix_imagechord_image_published",
    *(image.c.key, image.c.created_at),
    sqlite_where=PUBLISHED,
    postgresql_where=PUBLISHED,
)

attempt = Table(
    "imagechord_attempt",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("image_id", _Id, ForeignKey(image.c.id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("dispatch_no", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("model", String(100), nullable=False),
    Column("worker_id", String(36), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    _time("ended_at"),
    Column("outcome", String(20)),  # "generated" or an error class
    Column("message", Text),
    Column("trace_id", Text),
    Column("cost_usd_micros", BigInteger),
    Column(
        "budget_day", String(10)
    ),  # the model-day that its price was reserved in; null where there is no such budget
    UniqueConstraint("image_id", "fence"),
)

SETTLED = attempt.c.cost_usd_micros.is_not(None)
"""The call has ended, and its money is booked. The index below adds it up by model."""

Index(
    "ix_imagechord_attempt_settled",
    *(attempt.c.model, attempt.c.cost_usd_micros),
    sqlite_where=SETTLED,
    postgresql_where=SETTLED,
)

picture = Table(
    "imagechord_picture",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("image_id", _Id, nullable=False),  # who bought it, or is buying it
    Column("bought", Boolean, nullable=False),
    Column("staging_key", Text),
    Column("content_type", String(40)),
    Column("extension", String(8)),
    Column("size_bytes", Integer),
    Column("sha256", String(64)),
    Column("cost_usd_micros", BigInteger),
    _time("bought_at"),
    Column("missing_in", String(60)),  # the batch and round that found neither copy of it
)

STAGED = picture.c.staging_key.is_not(None)
Index(
    "ix_imagechord_picture_staged",
    *(picture.c.bought_at, picture.c.fingerprint),
    sqlite_where=STAGED,
    postgresql_where=STAGED,
)

thumbnail = Table(
    "imagechord_thumbnail",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("jpeg", LargeBinary, nullable=False),
)

skipped_row = Table(
    "imagechord_skipped_row",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("batch_id", String(32), ForeignKey(batch.c.id), nullable=False, index=True),
    Column("line", Integer, nullable=False),
    Column("problems", JSON, nullable=False),
    Column("row", JSON, nullable=False),
)

source_part = Table(
    "imagechord_source_part",
    metadata,
    Column("batch_id", String(32), ForeignKey(batch.c.id), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

limit_override = Table(
    "imagechord_limit_override",
    metadata,
    Column("name", String(100), primary_key=True),  # a model's alias, or "cms"
    Column("limits", JSON, nullable=False),  # {"per_minute": 30}; null means no limit, absent the catalogue's
    Column("changed_at", UtcDateTime, nullable=False),
)

hold = Table(
    "imagechord_hold",
    metadata,
    Column("batch_id", String(32), ForeignKey(batch.c.id), primary_key=True),
    Column("model", String(100), primary_key=True),  # empty: the whole batch
    Column("reason", String(20), nullable=False),  # tasks.core.holds.Reason
    Column("message", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    _time("until"),  # then the sweep lifts it; null: a person does
    Column("falls_back", Boolean, nullable=False, server_default=false()),  # its images go on with their fallbacks
)

model_day = Table(
    "imagechord_model_day",
    metadata,
    Column("model", String(100), primary_key=True),
    Column("day", String(10), primary_key=True),  # 2026-11-22, in the model's own time zone
    Column("reserved_usd_micros", BigInteger, nullable=False),
    Column("spent_usd_micros", BigInteger, nullable=False),
)

revision = Table(
    "imagechord_revision",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("image_id", _Id, ForeignKey(image.c.id), nullable=False, index=True),
    Column("round", Integer, nullable=False),  # the round that ended so
    Column("template", String(100), nullable=False),
    Column("model", String(100), nullable=False),
    Column("prompt", Text, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("unknowns", Integer, nullable=False),
    Column("error_class", String(20)),
    Column("error_step", String(20)),
    Column("error_message", Text),
    Column("retried_at", UtcDateTime, nullable=False),
    Column("fell_back_to", String(100)),  # the model that took over in the same round; null: it was retried
)

job = Table(
    "imagechord_job",
    metadata,
    Column("image_id", _Id, ForeignKey(image.c.id), primary_key=True),
    Column("fence", Integer, primary_key=True),  # of the claim: one job a call
    Column("provider", String(100), nullable=False),
    Column("fingerprint", String(64), nullable=False),  # of what was asked for, whatever becomes of the image
    Column("job_id", Text),  # the provider's own name for it; null until it has answered
    Column("message", JSON, nullable=False),  # the task that goes on with it, in its chain and chord
    Column("submitted_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),  # then its outcome counts as unknown
    Column("look_at", UtcDateTime, nullable=False),  # when to ask the provider, unless it has called before
    Column("looks", Integer, nullable=False),
    _time("called_at"),  # when the provider called
    Column("said", LargeBinary),  # what it said then
    _time("ended_at"),
)

OPEN = job.c.ended_at.is_(None)
Index("ix_imagechord_job_open", job.c.look_at, sqlite_where=OPEN, postgresql_where=OPEN)

webhook = Table(
    "imagechord_webhook",
    metadata,
    Column("batch_id", String(32), ForeignKey(batch.c.id), primary_key=True),
    Column("url", Text, nullable=False),
    Column("sender_id", String(36)),  # the worker that sends its events just now
    _time("leased_until"),  # then another one may, whatever has become of it
    Column("failures", Integer, nullable=False, server_default="0"),  # tries in a row that told nothing
    _time("not_before"),
    _time("gave_up_at"),  # it is told nothing more
    Column("error_message", Text),
    Column("begun_round", Integer, nullable=False, server_default="0"),  # the last one whose begin is an event
    Column("ended_round", Integer, nullable=False, server_default="0"),
)

reference = Table(
    "imagechord_reference",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("staging_key", Text, nullable=False),  # another one each time that it is put there
    Column("staged_at", UtcDateTime, nullable=False),  # or asked for since
    Column("leaving", Boolean, nullable=False, server_default=false()),  # it is being removed: nobody may use it
    Index(None, "staged_at", "sha256"),
)

reference_use = Table(
    "imagechord_reference_use",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("batch_id", String(32), ForeignKey(batch.c.id), primary_key=True),
    Column("key", String(400), primary_key=True),
    Index(None, "batch_id"),
)

event = Table(
    "imagechord_event",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),  # also the order of what happened
    Column("batch_id", String(32), ForeignKey(batch.c.id), nullable=False),
    Column("image_id", _Id),  # null: about the batch
    Column("type", String(40), nullable=False),  # image.published, batch.finished, …
    Column("details", JSON, nullable=False),  # what was so when it happened
    Column("happened_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _time("not_before"),
    _time("delivered_at"),
    _time("gave_up_at"),
    Column("error_message", Text),
)

UNTOLD = and_(event.c.delivered_at.is_(None), event.c.gave_up_at.is_(None))
Index("ix_imagechord_event_untold", event.c.batch_id, event.c.id, sqlite_where=UNTOLD, postgresql_where=UNTOLD)

worker = Table(
    "imagechord_worker",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("hostname", String(255), nullable=False),
    Column("queues", JSON, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("heartbeat_at", UtcDateTime, nullable=False),
    Column("steady_since", UtcDateTime, nullable=False),  # beating without a gap since then
    _time("stopped_at"),
    _time("died_at"),  # when its death was noticed, or it left with work in hand: messages were lost with it
)

summary = Table(
    "imagechord_summary",
    metadata,
    Column("batch_id", String(32), ForeignKey(batch.c.id), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("kind", String(8), primary_key=True),  # start, refused, end
    Column("worker_id", String(36), nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
    _time("sent_at"),
    Column("message", JSON),
    Column("error", Text),
    Column("posted", JSON(none_as_null=True)),  # {"channel": …, "ts": …}: where it can be updated
    Column("update_due_at", UtcDateTime, index=True),  # then it may be; null: no more
)

notice = Table(
    "imagechord_notice",
    metadata,
    Column("batch_id", String(32), ForeignKey(batch.c.id), primary_key=True),
    Column("kind", String(20), primary_key=True),  # tasks.core.holds.Reason
    Column("name", String(100), primary_key=True),  # the model's alias; empty: the whole batch
    Column("since", UtcDateTime, primary_key=True),  # the episode: when the hold began
    Column("worker_id", String(36), nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
    _time("sent_at"),
    Column("message", JSON),
    Column("error", Text),
    Column("posted", JSON(none_as_null=True)),  # as in summary
    Column("update_due_at", UtcDateTime, index=True),  # then it may say that the hold is over; null: no more
)
