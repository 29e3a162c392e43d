"""What has been paid for is delivered before more is bought."""

from __future__ import annotations

import pytest

from tasks.core.states import State
from tests.integration.conftest import MakeStack
from tests.integration.stack import PATIENT, Stack, rows
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.stand_ins.cms import InterruptedCms
from tests.waiting import wait_until

WITHOUT_SWEEP = PATIENT + "sweep_every_seconds = 3600.0\n"
SWEEPING = PATIENT + "sweep_every_seconds = 1.0\ndelivery_longest_pause_seconds = 5.0\n"


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("model", "call_seconds"), [("quick", 0.0), ("quick", 0.3), ("paced", 0.0), ("paced", 0.5)])
def test_few_pictures_are_ever_paid_for_and_undelivered(
    make_stack: MakeStack, api: AnycapApi, workers: int, model: str, call_seconds: float
) -> None:
    """With a full queue and two slots for each worker, uploads and patches never wait behind more purchases."""
    undelivered = []

    with InterruptedCms() as cms:

        def note(_prompt: str, _number: int) -> Fault | None:
            undelivered.append(len(api.charges) - cms.written)
            cms.pause(call_seconds)
            return None

        api.fault_for = note
        stack = make_stack(WITHOUT_SWEEP, **cms.environment)
        (stack.folder / "config" / "cms.toml").write_text("[generic]\nper_minute = 60000\nin_flight = 100\n")
        batch_id = stack.submit(rows(f"cup-{n}" for n in range(60)), model=model)
        stack.start(batch_id)
        for number in range(workers):
            stack.start_worker(f"worker-{number}", "-c", "2")
        stack.wait(batch_id, 90)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    # What runs, and as much that each worker has fetched before.
    assert max(undelivered) <= 4 * workers


def test_nothing_more_is_bought_while_the_cms_is_down(make_stack: MakeStack, api: AnycapApi) -> None:
    """Two waves' worth are paid for and wait; when the CMS is back all goes on by itself."""
    with InterruptedCms() as cms:
        cms.up.clear()
        stack = make_stack(SWEEPING + "wave_max_images = 10\n", **cms.environment)
        batch_id = stack.submit(rows(f"cup-{n}" for n in range(60)))
        stack.start(batch_id)
        stack.start_worker()
        # Two waves of ten, less what is too little for a release of its own.
        wait_until(lambda: count(stack, batch_id, State.UPLOADED) >= 16, 60, "two waves that cannot be delivered")
        wait_until(lambda: quiet(stack, batch_id), 30, "the end of the purchases")
        assert release(stack) <= 4
        # Undelivered, one window queued, and what the eight threads have in hand: none knows of the others yet.
        assert len(api.charges) <= 20 + 10 + 8
        cms.up.set()
        stack.wait(batch_id, 60)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        assert len(api.charges) == 60


def count(stack: Stack, batch_id: str, *states: State) -> int:
    """How many images of the batch are in these states."""
    counts = stack.counts(batch_id).counts
    return sum(counts.get(state, 0) for state in states)


def quiet(stack: Stack, batch_id: str) -> bool:
    """Whether nothing is being bought, nor about to be."""
    return not count(stack, batch_id, State.QUEUED, State.GENERATING, State.GENERATED)


def release(stack: Stack) -> int:
    """What a release sends now."""
    code = "from tasks import graph; from tasks.services import current_services;"
    return int(stack.python(code + "print(graph.release(current_services(), 'quick'))"))
