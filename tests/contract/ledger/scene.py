"""Short words for what the tests of the ledger set up and look at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from sqlalchemy import Row, select, update

from tasks.core.dispatch import Dispatch, StepName, Ticket
from tasks.core.errors import ImagechordError, StepError
from tasks.core.pictures import Size, StagedPicture
from tasks.core.plan import PlannedImage
from tasks.core.retry import Decision
from tasks.core.states import State
from tasks.core.waves import Bounds
from tasks.ledger import claiming, delivering, leases, releasing, schema, settling, submitting
from tasks.ledger.engine import Ledger
from tasks.ledger.reading import state_counts
from tasks.ledger.rows import Claim, Delivery
from tasks.ledger.settling import Bought
from tasks.ledger.submitting import NewBatch

MODEL = "nano-banana-2"
OTHER_MODEL = "seedream-5"
PRICE = 5_000
AGES_AGO = datetime(2026, 1, 1, tzinfo=UTC)

_T = TypeVar("_T")


def planned(number: int, *, model: str = MODEL, fingerprint: str | None = None, variant: int = 1) -> PlannedImage:
    """The image of row ``number``."""
    return PlannedImage(
        line=number + 1,
        key=f"SKU-{number:05}",
        variant=variant,
        template="product",
        model=model,
        prompt=f"빨간 컵 {number}",
        size=Size(1024, 1024),
        native_size=Size(1024, 1024),
        parameters={"aspect_ratio": "1:1"},
        fingerprint=fingerprint or f"{number:064x}",
        row={"sku": f"SKU-{number:05}", "name": "컵", "color": "빨강"},
    )


def catalogue(price: int = PRICE) -> dict[str, Any]:
    """What is frozen into a batch."""
    models = (MODEL, OTHER_MODEL)
    return {"models": {m: {"alias": m} for m in models}, "prices_usd_micros": dict.fromkeys(models, price)}


def new_batch(batch_id: str, **values: Any) -> NewBatch:
    """A batch before it has images."""
    defaults: dict[str, Any] = {
        "name": "products.csv",
        "source": "products.csv",
        "template": "product",
        "catalogue": catalogue(),
        "columns": ("sku", "name", "color"),
        "key_pattern": "{sku}.{ext}",
        "digest": "d" * 64,
    }
    return NewBatch(id=batch_id, **(defaults | values))


def bought(claim: Claim, cost: int = PRICE, mark: str = "") -> Bought:
    """What a successful call brings; ``mark`` tells two pictures of one fingerprint apart."""
    staged = StagedPicture(f"staged/{claim.fingerprint[-8:]}{mark}.png", "image/png", 1234, "a" * 64)
    return Bought(staged, "png", f"jpeg {mark}".encode(), cost, trace_id=f"trace-{claim.fence}")


class Scene:
    """A ledger with a living worker; every method is one or two moves."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.worker = leases.register_worker(ledger, "here", ["imagechord.deliver"])
        self._ids = count(1)

    def submit(self, images: int | Sequence[PlannedImage] = 3, *, price: int = PRICE, **values: Any) -> str:
        """A started batch; returns its id."""
        chunk = [planned(n) for n in range(images)] if isinstance(images, int) else images
        new = new_batch(f"b-{next(self._ids)}", **({"catalogue": catalogue(price)} | values))
        submitting.create_batch(self.ledger, new)
        if chunk:
            submitting.add_images(self.ledger, new.id, chunk)
        submitting.start(self.ledger, new.id, total=len(chunk), skipped=0, notes=[])
        return new.id

    def release(self, batch_id: str, window: int = 10_000, model: str = MODEL) -> list[Dispatch]:
        """Release a wave of all batches; what of it is this batch's."""
        return [sent for sent in self.release_model(window, model) if sent.batch_id == batch_id]

    def release_model(self, window: int = 10_000, model: str = MODEL, undelivered: int = 10_000) -> list[Dispatch]:
        """Release a wave."""
        return releasing.release(self.ledger, model, Bounds(window, undelivered))

    def tickets(self, images: int = 1, **values: Any) -> list[Ticket]:
        """Queued images of a new batch."""
        return [dispatch.ticket for dispatch in self.release(self.submit(images, **values))]

    def claim(self, ticket: Ticket, worker: str | None = None) -> Claim:
        """Claim an image that is there to be claimed."""
        claimed = claiming.claim(self.ledger, ticket, worker or self.worker)
        assert isinstance(claimed, Claim), claimed
        return claimed

    def generate(self, ticket: Ticket, cost: int = PRICE) -> None:
        """Buy the picture."""
        self.settle(self.claim(ticket), cost)

    def settle(self, claim: Claim, cost: int = PRICE, mark: str = "") -> None:
        """The call has brought a picture."""
        settling.settle_generated(self.ledger, claim, bought(claim, cost, mark))

    def upload(self, ticket: Ticket) -> None:
        """Make it public."""
        delivery = self.delivery(ticket, StepName.UPLOAD)
        name = delivery.key if delivery.variant == 1 else f"{delivery.key}-{delivery.variant}"
        delivering.settle_uploaded(self.ledger, delivery, f"{name}.png", f"https://cdn/{name}.png")

    def publish(self, ticket: Ticket) -> None:
        """All three steps."""
        self.generate(ticket)
        self.upload(ticket)
        self.publish_uploaded(ticket)

    def publish_uploaded(self, ticket: Ticket) -> None:
        """The last step."""
        delivering.settle_published(self.ledger, self.delivery(ticket, StepName.PATCH), "204")

    def delivery(self, ticket: Ticket, step: StepName) -> Delivery:
        """What the step is given."""
        delivery = delivering.load(self.ledger, ticket, step)
        assert delivery is not None
        return delivery

    def fail(self, claim: Claim, error: StepError, decision: Decision) -> None:
        """Settle a failed call."""
        settling.settle_failure(self.ledger, claim, error, decision)

    def image(self, image_id: int) -> Row[Any]:
        """One image's row."""
        return self._one(schema.image, schema.image.c.id == image_id)

    def batch(self, batch_id: str) -> Row[Any]:
        """One batch's row."""
        return self._one(schema.batch, schema.batch.c.id == batch_id)

    def picture(self, fingerprint: str) -> Row[Any]:
        """One picture's row."""
        return self._one(schema.picture, schema.picture.c.fingerprint == fingerprint)

    def attempts(self, image_id: int) -> list[Row[Any]]:
        """The paid calls of one image, oldest first."""
        query = select(schema.attempt).where(schema.attempt.c.image_id == image_id).order_by(schema.attempt.c.id)
        with self.ledger.read() as connection:
            return list(connection.execute(query).all())

    def _one(self, table: Any, clause: Any) -> Row[Any]:
        with self.ledger.read() as connection:
            return connection.execute(select(table).where(clause)).one()

    def counts(self, batch_id: str) -> Mapping[State, int]:
        """State → images."""
        return state_counts(self.ledger, batch_id)

    def age(self, image_ids: Sequence[int], moved_at: datetime = AGES_AGO) -> None:
        """Let images have moved long ago."""
        self._set(schema.image, schema.image.c.id.in_(image_ids), moved_at=moved_at)

    def silence(self, worker_id: str, seconds: float = 60.0) -> None:
        """Let a worker's last heartbeat be that long ago."""
        self._worker_time(worker_id, "heartbeat_at", seconds)

    def steady(self, worker_id: str, seconds: float = 60.0) -> None:
        """Let a worker have been beating for that long."""
        self._worker_time(worker_id, "steady_since", seconds)

    def _worker_time(self, worker_id: str, column: str, seconds: float) -> None:
        with self.ledger.read() as connection:
            then = self.ledger.clock(connection) - timedelta(seconds=seconds)
        self._set(schema.worker, schema.worker.c.id == worker_id, **{column: then})

    def set_batch(self, batch_id: str, **values: Any) -> None:
        """Write into the batch's row what no move writes yet."""
        self._set(schema.batch, schema.batch.c.id == batch_id, **values)

    def set_image(self, image_id: int, **values: Any) -> None:
        """Write into the image's row what no move writes yet."""
        self._set(schema.image, schema.image.c.id == image_id, **values)

    def _set(self, table: Any, clause: Any, **values: Any) -> None:
        with self.ledger.write() as connection:
            connection.execute(update(table).where(clause).values(**values))


def race(racers: int, act: Callable[[int], _T]) -> list[_T | ImagechordError]:
    """Let threads do the same thing at the same moment; each one's result, or the error of ours that it met."""
    barrier = threading.Barrier(racers)

    def run(number: int) -> _T | ImagechordError:
        barrier.wait(10)
        try:
            return act(number)
        except ImagechordError as error:
            return error

    with ThreadPoolExecutor(racers) as pool:
        return list(pool.map(run, range(racers)))
