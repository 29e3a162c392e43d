from __future__ import annotations

import pytest

from tasks.core import routing
from tasks.core.dispatch import REMAINING, StepName
from tasks.core.states import State


@pytest.mark.parametrize(
    ("task", "queue", "priority"),
    [
        ("imagechord.generate.nano-banana-2", "imagechord.nano-banana-2", routing.LAST),
        ("imagechord.upload_s3", "imagechord.deliver", routing.FIRST),
        ("imagechord.patch_cms", "imagechord.deliver", routing.FIRST),
        ("imagechord.slack_summary", "imagechord.control", routing.FIRST),
        ("imagechord.sweep", "imagechord.control", routing.FIRST),
        ("imagechord.start_batch", "imagechord.control", routing.FIRST),
    ],
)
def test_every_task_has_its_queue_and_later_steps_go_first(task: str, queue: str, priority: int) -> None:
    """A model's calls have a queue of their own; what is paid for is delivered before more is bought."""
    assert routing.route(task) == (queue, priority)


def test_tasks_of_others_are_not_routed() -> None:
    """A host project's task is none of our business."""
    assert routing.route("shop.tasks.send_mail") is None


def test_steps_name_their_tasks() -> None:
    """Only generate has one task type per model."""
    names = [routing.task_of(step, "seedream-5") for step in StepName]
    assert names == ["imagechord.generate.seedream-5", "imagechord.upload_s3", "imagechord.patch_cms"]


def test_the_chain_is_what_is_left_to_do() -> None:
    """An image sent again is never bought, uploaded or patched twice for nothing."""
    assert [len(REMAINING[state]) for state in (State.QUEUED, State.GENERATED, State.UPLOADED)] == [3, 2, 1]
    assert all(chain[-1] is StepName.PATCH for chain in REMAINING.values())
