"""Numbers that indexes hold: what is counted, what ended lately, and when something last moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.states import State
from tasks.ledger import counting
from tests.contract.ledger.scene import MODEL, OTHER_MODEL, Scene, planned


def images_of(scene: Scene, *models: str) -> list[int]:
    """Queued images of one batch, one for each model."""
    batch_id = scene.submit([planned(n, model=model) for n, model in enumerate(models)])
    sent = [d for model in dict.fromkeys(models) for d in scene.release(batch_id, model=model)]
    return sorted(dispatch.ticket.image_id for dispatch in sent)


def batch_of(scene: Scene, image_id: int) -> str:
    """The batch of an image."""
    return str(scene.image(image_id).batch_id)


def test_a_batch_is_counted_by_model_and_state(scene: Scene) -> None:
    """Reused pictures are counted beside it; a batch that is not there has nothing."""
    one, two, three = images_of(scene, MODEL, MODEL, OTHER_MODEL)
    scene.set_image(one, state=State.PUBLISHED, reused=True)
    scene.set_image(two, state=State.PUBLISHED)
    with scene.ledger.read() as connection:
        tally = counting.tally(connection, batch_of(scene, three))
        nothing = counting.tally(connection, "another")
    assert tally.by_model == {MODEL: {State.PUBLISHED: 2}, OTHER_MODEL: {State.QUEUED: 1}}
    assert (tally.counts, tally.reused) == ({State.PUBLISHED: 2, State.QUEUED: 1}, 1)
    assert (nothing.by_model, nothing.counts, nothing.reused) == ({}, {}, 0)


def test_the_pace_is_that_of_images_that_ended_by_work_in_the_last_minute(scene: Scene) -> None:
    """By model; neither an hour ago, nor held or cancelled at a stroke, nor under way."""
    ids = images_of(scene, *[MODEL] * 6, OTHER_MODEL)
    ends = [State.PUBLISHED, State.REFUSED, State.FAILED, State.HELD, State.CANCELLED, State.GENERATED, State.PUBLISHED]
    now = datetime.now(UTC)
    for number, (image_id, state) in enumerate(zip(ids, ends, strict=True)):
        scene.set_image(image_id, state=state, moved_at=now - timedelta(seconds=10 * number))
    scene.set_image(ids[1], moved_at=now - timedelta(hours=1))
    with scene.ledger.read() as connection:
        recent = counting.recent_ends(connection, batch_of(scene, ids[0]))
    assert set(recent) == {MODEL}
    assert recent[MODEL].ended == 2
    assert recent[MODEL].span_seconds == pytest.approx(20, abs=5)


def test_the_last_move_is_the_last_of_all_that_were_sent(scene: Scene) -> None:
    """Whether on the way or at an end; a batch of which nothing was sent has not moved."""
    ids = images_of(scene, MODEL, MODEL)
    batch_id = batch_of(scene, ids[0])
    then = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
    for state, moved in ((State.UPLOADED, then), (State.PUBLISHED, then - timedelta(minutes=1))):
        scene.set_image(ids.pop(), state=state, moved_at=moved)
    unsent = scene.submit(1)
    with scene.ledger.read() as connection:
        assert counting.last_move(connection, batch_id) == then
        assert counting.last_move(connection, unsent) is None
