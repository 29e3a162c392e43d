"""A batch whose rows wait in the ledger is planned by one worker at a time, to its end or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from tasks.core.errors import InputError, Superseded
from tasks.core.plan import RowProblem
from tasks.core.states import State
from tasks.ledger import leases, reading, schema, submitting, summing, unplanned
from tasks.ledger.unplanned import STALE, Planning, claim_planning, free_unplanned, refuse, take_in
from tests.contract.ledger.scene import AGES_AGO, Scene, new_batch, planned, race

MINUTE = timedelta(minutes=1)
BLOCKS = [b"sku,name\n", b"A-1,\xed\x8c\x8c", b"\x00\xff\n"]


def taken_in(scene: Scene, batch_id: str = "b", order: str | None = None, **values: Any) -> str:
    """A batch that waits for a worker."""
    return take_in(scene.ledger, new_batch(batch_id, **values), {"order": order, "options": {}}, iter(BLOCKS))


def claimed(scene: Scene, batch_id: str = "b", worker: str | None = None) -> Planning:
    """The right to plan it, which must be free."""
    planning = claim_planning(scene.ledger, batch_id, worker or scene.worker)
    assert planning is not None
    return planning


def write(scene: Scene, planning: Planning, images: int = 2) -> None:
    """A part of the plan."""
    submitting.add_images(scene.ledger, planning.batch_id, [planned(n) for n in range(images)], planning.number)
    problem = RowProblem(99, "name", "", "is empty", "fill it in", {"sku": "99"})
    submitting.add_skipped(scene.ledger, planning.batch_id, [problem], planning.number)


def start(scene: Scene, planning: Planning, **frozen: Any) -> None:
    """The end of the plan."""
    number = planning.number
    submitting.start(scene.ledger, planning.batch_id, total=2, skipped=1, notes=[], planner_no=number, frozen=frozen)


def parts(scene: Scene) -> int:
    """How many parts of sources the ledger holds."""
    with scene.ledger.read() as connection:
        return connection.scalar(select(func.count()).select_from(schema.source_part)) or 0


def test_the_source_comes_back_byte_for_byte(scene: Scene) -> None:
    """With the request, to the worker that plans it."""
    taken_in(scene, order="order-1", priority="high")
    assert list(unplanned.read_source(scene.ledger, "b")) == BLOCKS
    assert claimed(scene).request == {"order": "order-1", "options": {}}
    assert scene.batch("b").priority == "high"


def test_a_source_that_breaks_off_leaves_nothing(scene: Scene) -> None:
    """The batch and its source are there together, or not at all."""

    def broken() -> Iterator[bytes]:
        yield BLOCKS[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        take_in(scene.ledger, new_batch("b", idempotency_key="monday"), {"order": None}, broken())
    assert reading.list_batches(scene.ledger) == []
    assert parts(scene) == 0


def test_an_idempotency_key_takes_one_source_in(scene: Scene) -> None:
    """Eight at once under one key: all learn the same id, and the rows are there once."""
    holders = race(8, lambda n: taken_in(scene, f"b{n}", idempotency_key="monday"))
    assert len(set(holders)) == 1
    assert parts(scene) == len(BLOCKS)


def test_one_of_many_workers_plans_it(scene: Scene) -> None:
    """A message that comes to eight at once is obeyed by one."""
    taken_in(scene)
    claims = race(8, lambda n: claim_planning(scene.ledger, "b", f"worker-{n}"))
    assert len([claim for claim in claims if claim is not None]) == 1


def test_it_is_seen_before_it_has_started_and_nothing_of_it_is_released(scene: Scene) -> None:
    """People can ask for it; its first thousand images are nobody's yet."""
    taken_in(scene)
    write(scene, claimed(scene))
    assert reading.find_batch(scene.ledger).phase == "planning"
    assert summing.summarise(scene.ledger, "b").phase == "planning"
    assert not summing.is_resting(scene.ledger, "b")
    assert scene.release("b") == []


def test_the_start_freezes_the_planners_catalogue_and_drops_the_source(scene: Scene) -> None:
    """From then on it is a batch like any other."""
    taken_in(scene, columns=())
    planning = claimed(scene)
    write(scene, planning)
    start(scene, planning, catalogue={"models": {}}, columns=["sku"], key_pattern="{sku}.png")
    row = scene.batch("b")
    assert (row.phase, row.total, row.skipped, row.planner_id) == ("started", 2, 1, None)
    assert (row.catalogue, row.columns, row.key_pattern) == ({"models": {}}, ["sku"], "{sku}.png")
    assert parts(scene) == 0
    assert claim_planning(scene.ledger, "b", scene.worker) is None


def test_what_its_submitter_plans_is_not_for_workers(scene: Scene) -> None:
    """The command line plans its batches itself."""
    submitting.create_batch(scene.ledger, new_batch("cli"))
    scene.set_batch("cli", created_at=AGES_AGO)
    assert claim_planning(scene.ledger, "cli", scene.worker) is None
    assert free_unplanned(scene.ledger, MINUTE) == []


def test_a_batch_that_waits_for_days_is_not_taken_back(scene: Scene) -> None:
    """There may be no worker over the weekend; only what a dead submitter has left is swept away."""
    taken_in(scene)
    submitting.create_batch(scene.ledger, new_batch("cli"))
    for name in ("b", "cli"):
        scene.set_batch(name, created_at=AGES_AGO)
    submitting.create_batch(scene.ledger, new_batch("next"))
    assert {row.id for row in reading.list_batches(scene.ledger)} == {"b", "next"}


class TestSuccession:
    def test_the_planner_lives(self, scene: Scene) -> None:
        """Nobody else is told to plan what a living worker plans."""
        taken_in(scene)
        claimed(scene)
        assert free_unplanned(scene.ledger, MINUTE) == []
        assert claim_planning(scene.ledger, "b", "another") is None

    def test_the_planner_died(self, scene: Scene) -> None:
        """Its lease has ended: the next one begins anew, with nothing of the first one's in the batch."""
        taken_in(scene)
        first = claimed(scene)
        write(scene, first)
        leases.stop_worker(scene.ledger, scene.worker)
        assert free_unplanned(scene.ledger, MINUTE) == ["b"]
        second = claimed(scene, worker=leases.register_worker(scene.ledger, "there", []))
        assert second.number == first.number + 1
        assert scene.counts("b") == {}
        assert list(reading.skipped_rows(scene.ledger, "b")) == []

    def test_who_was_taken_for_dead_is_too_late(self, scene: Scene) -> None:
        """Every write of an older planner fails, and leaves no trace."""
        taken_in(scene)
        first = claimed(scene)
        leases.stop_worker(scene.ledger, scene.worker)
        free_unplanned(scene.ledger, MINUTE)
        second = claimed(scene)
        for late in (
            lambda: write(scene, first),
            lambda: start(scene, first),
            lambda: refuse(scene.ledger, first, ["bad"]),
            lambda: unplanned.keep_hold(scene.ledger, first),
        ):
            with pytest.raises(Superseded):
                late()
        unplanned.let_go(scene.ledger, first)
        assert claim_planning(scene.ledger, "b", "third") is None
        assert scene.counts("b") == {}
        write(scene, second)
        start(scene, second)
        assert scene.counts("b") == {State.PLANNED: 2}

    def test_a_planner_that_says_nothing_for_long_is_stuck(self, scene: Scene) -> None:
        """Although its worker lives; what it writes, or says, counts as a sign of life."""
        taken_in(scene)
        planning = claimed(scene)
        scene.set_batch("b", planner_seen_at=AGES_AGO)
        unplanned.keep_hold(scene.ledger, planning)
        assert free_unplanned(scene.ledger, MINUTE) == []
        scene.set_batch("b", planner_seen_at=AGES_AGO)
        write(scene, planning)
        assert free_unplanned(scene.ledger, MINUTE) == []
        scene.set_batch("b", planner_seen_at=scene.batch("b").planner_seen_at - STALE)
        assert free_unplanned(scene.ledger, MINUTE) == ["b"]

    def test_what_was_let_go_is_free_at_once(self, scene: Scene) -> None:
        """After trouble that passes, for the very next message."""
        taken_in(scene)
        unplanned.let_go(scene.ledger, claimed(scene))
        assert claimed(scene).number == 2


class TestTheSweep:
    def test_a_message_that_never_came_is_sent_again(self, scene: Scene) -> None:
        """After the patience that every message has, and once in that time, however many sweep."""
        taken_in(scene)
        assert free_unplanned(scene.ledger, MINUTE) == []
        scene.set_batch("b", created_at=AGES_AGO)
        found = race(4, lambda _n: free_unplanned(scene.ledger, MINUTE))
        assert sorted(found) == [[], [], [], ["b"]]
        assert free_unplanned(scene.ledger, timedelta()) == ["b"]

    def test_a_refusal_that_was_not_said_is_found(self, scene: Scene) -> None:
        """Until Slack has been told."""
        taken_in(scene)
        refuse(scene.ledger, claimed(scene), ["bad rows"])
        assert unplanned.refused_unsaid(scene.ledger) == ["b"]
        assert summing.claim_message(scene.ledger, "b", "refused", scene.worker) is not None
        assert unplanned.refused_unsaid(scene.ledger) == []


class TestRefusal:
    def test_nothing_is_left_but_why(self, scene: Scene) -> None:
        """The problems are in the batch's state; images, skipped rows and source are gone."""
        taken_in(scene)
        planning = claimed(scene)
        write(scene, planning)
        refuse(scene.ledger, planning, ["1 of 3 rows cannot be used", "line 3: …"])
        assert scene.counts("b") == {}
        assert list(reading.skipped_rows(scene.ledger, "b")) == []
        assert parts(scene) == 0
        summary = summing.summarise(scene.ledger, "b")
        assert (summary.phase, summary.total) == ("refused", 0)
        with pytest.raises(InputError, match="1 of 3 rows") as caught:
            reading.raise_if_refused(scene.ledger, "b")
        assert caught.value.problems == ("line 3: …",)

    def test_its_key_is_free(self, scene: Scene) -> None:
        """The mended rows are sent under the same one."""
        taken_in(scene, idempotency_key="monday")
        refuse(scene.ledger, claimed(scene), ["bad rows"])
        assert taken_in(scene, "mended", idempotency_key="monday") == "mended"

    def test_a_message_stays_one_order(self, scene: Scene) -> None:
        """Delivered again after the refusal it is still the same, although the key that it named is free."""
        taken_in(scene, order="message-1", idempotency_key="monday")
        refuse(scene.ledger, claimed(scene), ["bad rows"])
        assert submitting.find_by_idempotency_key(scene.ledger, "message-1") == "b"
        assert submitting.find_by_idempotency_key(scene.ledger, "monday") is None

    def test_an_order_that_makes_no_sense_is_written_down(self, scene: Scene) -> None:
        """Once, and nobody tries to plan it."""
        for name in ("b", "again"):
            new = new_batch(name, catalogue={}, idempotency_key="message-1")
            assert unplanned.record_refused(scene.ledger, new, "message-1", ["there is no template"]) == "b"
        assert reading.find_batch(scene.ledger).phase == "refused"
        assert claim_planning(scene.ledger, "b", scene.worker) is None
        assert unplanned.refused_unsaid(scene.ledger) == ["b"]

    def test_a_batch_that_started_is_not_refused(self, scene: Scene) -> None:
        """Nor is asking about it an error."""
        reading.raise_if_refused(scene.ledger, scene.submit(1))
        assert reading.phase_of(scene.ledger, "b-1") == "started"
        with pytest.raises(KeyError):
            reading.phase_of(scene.ledger, "nowhere")
