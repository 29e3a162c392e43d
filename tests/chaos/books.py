"""What everybody has written down by the end of a run: the ledger, the maker, the bucket, the CMS, Slack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis
from sqlalchemy import bindparam, func, select

from tasks.core.states import State
from tasks.ledger.schema import attempt, batch, image, summary
from tests.chaos.installation import Installation
from tests.chaos.interference import IMAGE_QUEUES, lists_of
from tests.chaos.maker import PRICE_USD_MICROS, Charge
from tests.chaos.mishaps import is_refused
from tests.chaos.sampler import Sample


@dataclass(frozen=True)
class Attempt:
    """One paid call, as the ledger has it. ``outcome`` is None for one that was never settled."""

    image_id: int
    fence: int
    outcome: str | None
    cost_usd_micros: int | None


@dataclass(frozen=True)
class Image:
    """One row of the batch, as the ledger has it."""

    id: int
    key: str
    prompt: str
    fingerprint: str
    state: State
    attempts: int
    unknowns: int
    delivery_attempts: int
    reserved_usd_micros: int
    cost_usd_micros: int
    worker_id: str | None
    error_class: str | None
    error_step: str | None
    error_message: str | None
    output_key: str | None
    public_url: str | None


@dataclass(frozen=True)
class Books:
    """``keys`` is what was asked for. ``objects`` and ``products`` are the bucket and the CMS as they are.

    ``unclear_calls``: by the maker's count, calls whose caller cannot know whether it has paid. ``lost_slots``: how
    many calls in flight the workers that were killed, or taken for dead, can have had, all in all.
    ``stalled`` says why the run did not come to its end; ``missed_events`` did not happen before it.
    """

    keys: Sequence[str]
    price_usd_micros: int
    refused_prompts: frozenset[str]
    images: Sequence[Image]
    attempts: Sequence[Attempt]
    round: int
    budget_usd_micros: int
    reserved_usd_micros: int
    spent_usd_micros: int
    charges: Sequence[Charge]
    unclear_calls: int
    objects: Mapping[str, bytes]
    products: Mapping[str, str | None]
    messages: Sequence[str]
    samples: Sequence[Sample] = ()
    lost_slots: int = 0
    pauses: int = 0
    stalled: str = ""
    missed_events: int = 0
    unsent_summaries: int = 0
    left_in_queues: Mapping[str, int] = field(default_factory=dict)

    def in_state(self, *states: State) -> list[Image]:
        """The images that are in one of the states."""
        return [each for each in self.images if each.state in states]


def collect(made: Installation, batch_id: str) -> Books:
    """Read what is written down; what only the runner knows is left out."""
    with made.services.ledger.read() as connection:
        images = [_image(row) for row in connection.execute(_IMAGES, {"the_batch": batch_id}).mappings()]
        attempts = [Attempt(*row) for row in connection.execute(_ATTEMPTS)]
        money = connection.execute(_BATCH.where(batch.c.id == batch_id)).mappings().one()
        unsent = connection.scalar(_UNSENT) or 0
    return Books(
        keys=[row["sku"] for row in made.rows],
        price_usd_micros=PRICE_USD_MICROS,
        refused_prompts=frozenset(each.prompt for each in images if is_refused(made.maker.seed, each.prompt)),
        images=images,
        attempts=attempts,
        **money,
        charges=list(made.maker.charges),
        unclear_calls=made.maker.unclear,
        objects=dict(made.bucket.objects),
        products=dict(made.cms.products),
        messages=[message["text"] for message in made.slack.messages],
        unsent_summaries=unsent,
        left_in_queues=left_in_queues(made.redis),
    )


def left_in_queues(client: redis.Redis) -> dict[str, int]:
    """How many messages about images wait in each list; those without any are left out."""
    lengths: dict[str, Any] = {queue: client.llen(queue) for queue in lists_of(IMAGE_QUEUES)}
    return {queue: length for queue, length in lengths.items() if length}


_IMAGES = (
    select(*(image.c[name] for name in Image.__dataclass_fields__))
    .where(image.c.batch_id == bindparam("the_batch"))
    .order_by(image.c.id)
)
_ATTEMPTS = select(*(attempt.c[name] for name in Attempt.__dataclass_fields__))
_BATCH = select(batch.c.round, batch.c.budget_usd_micros, batch.c.reserved_usd_micros, batch.c.spent_usd_micros)
_UNSENT = select(func.count()).select_from(summary).where(summary.c.sent_at.is_(None))


def _image(row: Mapping[Any, Any]) -> Image:
    return Image(**{**row, "state": State(row["state"])})
