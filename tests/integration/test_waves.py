"""Waves follow each other by themselves; what nobody settles is settled by the sweep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from tasks.core.dispatch import Ticket
from tasks.core.states import State
from tasks.ledger import claiming, leases
from tasks.ledger.schema import image
from tests.integration.conftest import MakeStack
from tests.integration.stack import PATIENT, Stack, prompt_of, rows
from tests.integration.test_graph import NAMES, release
from tests.stand_ins.anycap_api import AnycapApi

WITHOUT_SWEEP = "sweep_every_seconds = 3600.0\nwave_max_images = 10\n"


def test_waves_follow_each_other_without_the_sweep(make_stack: MakeStack, api: AnycapApi) -> None:
    """A batch of twelve waves on two workers never waits for the sweep: each end looks for room in the queue."""
    names = [f"cup-{n}" for n in range(120)]
    stack = make_stack(PATIENT + WITHOUT_SWEEP)
    stack.start_worker("one")
    stack.start_worker("two")
    batch_id = stack.run(rows(names), 40)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert sorted(call.prompt for call in api.charges) == sorted(map(prompt_of, names))
    for worker in stack.workers:
        assert "sweep:" not in worker.words


def test_waves_of_pictures_that_are_there_already_follow_each_other_too(make_stack: MakeStack, api: AnycapApi) -> None:
    """A batch that only publishes what was bought before needs neither the sweep nor a paid call."""
    names = [f"cup-{n}" for n in range(25)]
    stack = make_stack(PATIENT + WITHOUT_SWEEP)
    stack.start_worker("one")
    stack.run(rows(names), 40)
    again = stack.run(rows(names), 40)
    assert set(stack.states(again).values()) == {State.PUBLISHED}
    assert len(api.charges) == len(names)


def test_no_more_is_released_than_a_window(make_stack: MakeStack) -> None:
    """A batch of any size puts a window's worth of images into a model's queue, and not one more."""
    stack = make_stack(PATIENT + WITHOUT_SWEEP)
    stack.submit(rows(f"cup-{n}" for n in range(120)))
    released = stack.python(
        "from tasks import graph; from tasks.services import current_services;"
        "print([graph.release(current_services(), 'quick') for _ in range(3)])"
    )
    assert released.strip() == "[10, 0, 0]"


def age(stack: Stack, by: timedelta) -> None:
    """Let all images have stood where they are for so long."""
    with stack.services.ledger.write() as connection:
        connection.execute(update(image).values(moved_at=datetime.now(UTC) - by))


def sweep_and_states(stack: Stack) -> list[str]:
    """Sweep once, in a process that is no worker; the states after it."""
    stack.python(
        "from tasks.steps.sweep import sweep_once; from tasks.services import current_services;"
        "sweep_once(current_services())"
    )
    with stack.services.ledger.read() as connection:
        return list(connection.scalars(select(image.c.state).order_by(image.c.id)))


def test_a_call_that_outlives_its_deadline_is_settled(stack: Stack) -> None:
    """A claim of a living worker that nobody settles counts as spent, and its image goes on."""
    batch_id = release(stack)
    worker_id = leases.register_worker(stack.services.ledger, "living", [])
    assert isinstance(claiming.claim(stack.services.ledger, Ticket(1, 1), worker_id), claiming.Claim)
    assert sweep_and_states(stack) == [State.GENERATING, State.QUEUED, State.QUEUED]
    age(stack, timedelta(hours=1))
    leases.beat(stack.services.ledger, worker_id)
    assert sweep_and_states(stack) == [State.QUEUED] * len(NAMES)
    assert stack.counts(batch_id).spent_usd_micros == 30_000
