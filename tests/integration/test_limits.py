"""A model's rate holds over all workers, changes live, and keeps no other queue waiting."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from tasks.core.states import State
from tasks.ledger.schema import attempt, image
from tests.integration.stack import MODELS, Stack, rows
from tests.waiting import wait_until

PACED = """
[models.{alias}]
provider = "preview"
model = "preview"
price_usd = 0
price_date = 2026-11-01
price_source = "a test"
limits = {limits}
"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """An installation with preview at 10 a second, at one a second, and without a limit."""
    limits = {"ten": "{ per_minute = 600 }", "one": "{ per_minute = 60 }", "free": "{}"}
    with Stack(tmp_path / "stack") as made:
        tables = "".join(PACED.format(alias=alias, limits=limit) for alias, limit in limits.items())
        (made.folder / "config" / "models.toml").write_text(MODELS + tables)
        yield made


def _claimed_at(stack: Stack, batch_id: str) -> list[datetime]:
    """When each paid call of a batch began, in order."""
    query = select(attempt.c.started_at).join(image, image.c.id == attempt.c.image_id)
    with stack.services.ledger.read() as connection:
        return sorted(connection.scalars(query.where(image.c.batch_id == batch_id)))


def _batch(stack: Stack, images: int, model: str) -> str:
    return stack.submit(rows(f"{model}-{n:03}" for n in range(images)), model=model)


def test_two_workers_hold_one_rate_and_other_queues_flow(stack: Stack) -> None:
    """Two workers buy ten a second together, and a batch of another model does not wait for it."""
    stack.start_worker("one")
    stack.start_worker("two")
    paced, free = _batch(stack, 60, "ten"), _batch(stack, 20, "free")
    stack.start(paced)
    wait_until(lambda: len(_claimed_at(stack, paced)) >= 5, 20, "the paced batch's first calls")
    stack.start(free)
    stack.wait(free, 20)
    assert len(_claimed_at(stack, paced)) < 60, "the free batch ended while the paced one was still running"
    stack.wait(paced, 20)
    moments = _claimed_at(stack, paced)
    took = (moments[-1] - moments[0]).total_seconds()
    assert 59 / took == pytest.approx(10.0, rel=0.08)
    second = timedelta(seconds=1)
    assert max(sum(start <= moment < start + second for moment in moments) for start in moments) <= 13


def test_a_rate_changed_live_holds_for_what_waits_already(stack: Stack) -> None:
    """``celery control rate_limit`` lets messages go that were held for the old rate."""
    stack.start_worker("one")
    batch_id = _batch(stack, 30, "one")
    stack.start(batch_id)
    wait_until(lambda: len(_claimed_at(stack, batch_id)) >= 2, 20, "the first calls")
    change = "app.control.rate_limit('imagechord.generate.one', '3000/m', reply=True, timeout=3)"
    answer = stack.python(f"from tasks.celery import app\nprint({change})")
    assert "new rate limit set successfully" in answer
    stack.wait(batch_id, 20)
    moments = _claimed_at(stack, batch_id)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
    assert sum(gap > 0.8 for gap in gaps) <= 5, "only what was bought before the change went by the old rate"
