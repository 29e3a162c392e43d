"""A look at the ledger many times a second: what must hold at every moment is seen while it may not."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Self

from sqlalchemy import func, select

from tasks.core.errors import LedgerUnavailable
from tasks.ledger.engine import Ledger
from tasks.ledger.schema import batch, image

_EVERY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """One consistent look at a batch. ``images`` is the sum of the counts by state."""

    images: int
    reserved_usd_micros: int
    spent_usd_micros: int
    budget_usd_micros: int


@dataclass
class Sampler:
    """Looks in a thread of its own, for the length of a block."""

    ledger: Ledger
    batch_id: str
    samples: list[Sample] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="chaos-sampler", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            try:
                self.samples.append(self._look())
            except LedgerUnavailable:
                continue

    def _look(self) -> Sample:
        mine = batch.c.id == self.batch_id
        money = select(batch.c.reserved_usd_micros, batch.c.spent_usd_micros, batch.c.budget_usd_micros).where(mine)
        states = select(image.c.state, func.count()).where(image.c.batch_id == self.batch_id).group_by(image.c.state)
        with self.ledger.read() as connection:
            reserved, spent, budget = connection.execute(money).one()
            counts = [images for _state, images in connection.execute(states)]
        return Sample(sum(counts), reserved, spent, budget)
