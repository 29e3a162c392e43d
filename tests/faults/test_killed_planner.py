"""``kill -9`` of a worker that plans: its successor begins anew, and nothing of the first plan is left or bought."""

from __future__ import annotations

from sqlalchemy import func, select

from tasks import intake
from tasks.core.request import Request
from tasks.ledger import reading
from tasks.ledger.schema import batch, image, source_part
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack
from tests.stand_ins.anycap_api import AnycapApi
from tests.waiting import wait_until

ROWS = 40_000


def written(stack: Stack) -> int:
    """How many images of the plan are in the ledger."""
    with stack.services.ledger.read() as connection:
        return connection.scalar(select(func.count()).select_from(image)) or 0


def test_killed_while_it_plans(make_stack: MakeStack, api: AnycapApi) -> None:
    """Nothing is released of half a plan; the second worker's is whole, each row once, and its images are published."""
    stack = make_stack(NERVOUS)
    first = stack.start_worker("first")
    rows = [{"sku": f"cup-{n}", "name": f"cup {n}"} for n in range(ROWS)]
    batch_id = intake.take_in(stack.services, Request(rows, "tiny", model="slow"))
    stack.start(batch_id)
    wait_until(lambda: written(stack) > 0, what="the first images")
    first.kill()
    assert reading.phase_of(stack.services.ledger, batch_id) == "planning", "killed too late to tell anything"
    assert 0 < written(stack) < ROWS
    assert api.charges == []

    stack.start_worker("second")
    wait_until(lambda: reading.phase_of(stack.services.ledger, batch_id) == "started", 60, "the second plan")
    wait_until(lambda: stack.counts(batch_id).published >= 1, 30, "the first picture")

    with stack.services.ledger.read() as connection:
        total, planner_no = connection.execute(select(batch.c.total, batch.c.planner_no)).one()
        keys = connection.scalar(select(func.count(image.c.key.distinct())))
        assert connection.scalar(select(func.count()).select_from(source_part)) == 0
    assert (total, planner_no, keys, written(stack)) == (ROWS, 2, ROWS, ROWS)
    assert len({call.prompt for call in api.charges}) == len(api.charges), "bought twice"
