"""A batch is put into the ledger whole, or not at all, and once under one key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.errors import InputError, Superseded
from tasks.core.plan import RowProblem
from tasks.core.states import State
from tasks.ledger import holding, reading, submitting
from tests.contract.ledger.scene import Scene, new_batch, planned, race


def test_images_of_several_chunks_are_planned(scene: Scene) -> None:
    """Every chunk's images are in the batch, planned, with what the plan decided."""
    submitting.create_batch(scene.ledger, new_batch("b"))
    submitting.add_images(scene.ledger, "b", [planned(n) for n in range(2)])
    submitting.add_images(scene.ledger, "b", [planned(n) for n in range(2, 5)])
    submitting.start(scene.ledger, "b", total=5, skipped=0, notes=["a note"])
    assert scene.counts("b") == {State.PLANNED: 5}
    views = list(reading.images(scene.ledger, "b"))
    assert [view.key for view in views] == [planned(n).key for n in range(5)]
    assert views[3].prompt == planned(3).prompt
    assert views[3].row == planned(3).row
    assert reading.find_batch(scene.ledger).notes == ("a note",)


def test_a_batch_that_has_not_started_is_not_there_yet(scene: Scene) -> None:
    """People and releases see a batch only when every row is in."""
    submitting.create_batch(scene.ledger, new_batch("b"))
    submitting.add_images(scene.ledger, "b", [planned(0)])
    assert scene.release("b") == []
    with pytest.raises(InputError, match="no batch yet"):
        reading.find_batch(scene.ledger)


def test_a_discarded_batch_leaves_nothing(scene: Scene) -> None:
    """Images, skipped rows and the idempotency key are free again."""
    submitting.create_batch(scene.ledger, new_batch("b", idempotency_key="monday"))
    submitting.add_images(scene.ledger, "b", [planned(0)])
    submitting.add_skipped(scene.ledger, "b", [RowProblem(3, "name", "", "is empty", "fill it in")])
    submitting.discard(scene.ledger, "b")
    assert scene.counts("b") == {}
    assert list(reading.skipped_rows(scene.ledger, "b")) == []
    assert submitting.find_by_idempotency_key(scene.ledger, "monday") is None


def test_a_started_batch_is_not_discarded(scene: Scene) -> None:
    """Taking back comes too late once the batch is real."""
    batch_id = scene.submit(2)
    submitting.discard(scene.ledger, batch_id)
    assert scene.counts(batch_id) == {State.PLANNED: 2}


def test_a_batch_taken_back_cannot_start(scene: Scene) -> None:
    """Starting a batch that is gone says so instead of doing nothing."""
    with pytest.raises(Superseded, match="submit it again"):
        submitting.start(scene.ledger, "gone", total=1, skipped=0, notes=[])


def test_an_idempotency_key_has_one_batch(scene: Scene) -> None:
    """Sixteen submissions under one key at the same moment make one batch, and all learn which."""
    holders = race(16, lambda n: submitting.create_batch(scene.ledger, new_batch(f"b{n}", idempotency_key="monday")))
    assert len(set(holders)) == 1
    assert submitting.find_by_idempotency_key(scene.ledger, "monday") == holders[0]


def test_batches_without_a_key_are_never_the_same(scene: Scene) -> None:
    """Only a key makes two submissions one."""
    assert [submitting.create_batch(scene.ledger, new_batch(name)) for name in ("x", "y")] == ["x", "y"]


def test_a_dead_submission_frees_its_key(scene: Scene) -> None:
    """A batch whose submitter died long ago is taken back by the next submission; a fresh one is not."""
    for name, key in (("old", "monday"), ("fresh", "tuesday")):
        submitting.create_batch(scene.ledger, new_batch(name, idempotency_key=key))
        submitting.add_images(scene.ledger, name, [planned(0)])
    scene.set_batch("old", created_at=datetime.now(UTC) - timedelta(days=2))
    assert submitting.create_batch(scene.ledger, new_batch("new", idempotency_key="monday")) == "new"
    assert submitting.create_batch(scene.ledger, new_batch("newer", idempotency_key="tuesday")) == "fresh"


def test_skipped_rows_are_kept_by_line(scene: Scene) -> None:
    """A line with two problems is one skipped row that tells both."""
    submitting.create_batch(scene.ledger, new_batch("b"))
    problems = [
        RowProblem(7, "color", "", "is empty", "fill it in", {"sku": "7"}),
        RowProblem(3, "name", "", "is empty", "fill it in", {"sku": "3"}),
        RowProblem(7, "name", "", "is empty", "fill it in", {"sku": "7"}),
    ]
    assert submitting.add_skipped(scene.ledger, "b", problems) == 2
    skipped = list(reading.skipped_rows(scene.ledger, "b"))
    assert [(row.line, len(row.problems), row.row) for row in skipped] == [(3, 1, {"sku": "3"}), (7, 2, {"sku": "7"})]


def test_the_same_run_is_found_while_it_is_unfinished(scene: Scene) -> None:
    """A run of the same rows and options is recognised until nothing in it is active, or waits for somebody."""
    batch_id = scene.submit(1)
    assert submitting.find_unfinished(scene.ledger, "d" * 64) == batch_id
    assert submitting.find_unfinished(scene.ledger, "e" * 64) is None
    holding.pause(scene.ledger, batch_id)
    assert submitting.find_unfinished(scene.ledger, "d" * 64) == batch_id
    holding.resume(scene.ledger, batch_id)
    scene.publish(scene.release(batch_id)[0].ticket)
    assert submitting.find_unfinished(scene.ledger, "d" * 64) is None


def test_a_cancelled_run_is_not_found(scene: Scene) -> None:
    """The same rows are a new batch then, which delivers what was bought."""
    batch_id = scene.submit(1)
    holding.cancel(scene.ledger, batch_id)
    assert submitting.find_unfinished(scene.ledger, "d" * 64) is None


def test_rows_without_a_file_are_never_the_same_run(scene: Scene) -> None:
    """An empty digest is like no other."""
    scene.submit(1, digest="")
    assert submitting.find_unfinished(scene.ledger, "") is None
