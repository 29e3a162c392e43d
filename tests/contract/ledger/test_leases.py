"""One lease per worker holds all of its claims; nobody is taken for dead because the ledger was away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.errors import Ambiguous
from tasks.core.retry import Decision
from tasks.core.states import State
from tasks.ledger import leases
from tasks.ledger.leases import (
    abandon,
    beat,
    has_claims,
    last_death,
    live_queues,
    orphaned_claims,
    reap,
    register_worker,
    stop_worker,
)
from tests.contract.ledger.scene import Scene

LEASE = timedelta(seconds=15)


@pytest.fixture
def witness(scene: Scene) -> str:
    """A worker that has been beating for a minute."""
    worker = register_worker(scene.ledger, "there", ["imagechord.control"])
    scene.steady(worker)
    return worker


def test_a_living_worker_keeps_its_claims(scene: Scene, witness: str) -> None:
    """A lease that is kept is not reaped, and its claims are nobody else's."""
    (ticket,) = scene.tickets()
    scene.claim(ticket)
    scene.silence(scene.worker, seconds=14)
    assert reap(scene.ledger, LEASE) is None
    assert not orphaned_claims(scene.ledger)


def test_a_dead_worker_loses_its_claims(scene: Scene, witness: str) -> None:
    """After a lease without a heartbeat every claim of the worker is found, and only those."""
    mine, theirs, settled = scene.tickets(3)
    scene.claim(mine)
    scene.claim(theirs, worker=witness)
    scene.generate(settled)
    scene.silence(scene.worker, seconds=16)
    last = reap(scene.ledger, LEASE)
    assert last is not None
    assert timedelta(seconds=15) < datetime.now(UTC) - last < timedelta(seconds=30)
    assert list(orphaned_claims(scene.ledger)) == [mine.image_id]
    assert reap(scene.ledger, LEASE) is None, "a death is told once"


def test_a_worker_that_stops_frees_its_claims_at_once(scene: Scene) -> None:
    """No lease has to run out after a graceful end."""
    (ticket,) = scene.tickets()
    scene.claim(ticket)
    stop_worker(scene.ledger, scene.worker)
    assert list(orphaned_claims(scene.ledger)) == [ticket.image_id]


def test_a_claim_without_a_worker_is_an_orphan(scene: Scene) -> None:
    """A claim whose worker is not in the ledger at all is found too."""
    (ticket,) = scene.tickets()
    scene.claim(ticket)
    scene.set_image(ticket.image_id, worker_id="nobody")
    assert list(orphaned_claims(scene.ledger)) == [ticket.image_id]


def test_a_claim_that_a_living_worker_forgot_is_found_by_its_age(scene: Scene) -> None:
    """A worker that could not settle for longer than any call may take does not hold the image for ever."""
    old, new = scene.tickets(2)
    scene.claim(old)
    scene.claim(new)
    scene.age([old.image_id])
    assert not orphaned_claims(scene.ledger)
    assert list(orphaned_claims(scene.ledger, claimed_before=datetime.now(UTC) - timedelta(hours=1))) == [old.image_id]


def test_when_everybody_was_silent_nobody_is_dead(scene: Scene) -> None:
    """After an outage of the ledger the first to beat again does not bury the others."""
    other = register_worker(scene.ledger, "there", [])
    for worker in (scene.worker, other):
        scene.steady(worker, seconds=600)
        scene.silence(worker, seconds=60)
    beat(scene.ledger, other, LEASE)
    assert reap(scene.ledger, LEASE) is None
    beat(scene.ledger, scene.worker, LEASE)
    scene.steady(other, seconds=16)
    assert reap(scene.ledger, LEASE) is None


def test_after_an_outage_the_really_dead_are_found(scene: Scene) -> None:
    """Once a worker has been beating for a whole lease again, those still silent are dead."""
    other = register_worker(scene.ledger, "there", [])
    scene.silence(scene.worker, seconds=60)
    assert reap(scene.ledger, LEASE) is None, "the other one is too young a witness"
    scene.steady(other, seconds=16)
    assert reap(scene.ledger, LEASE) is not None


def test_a_heartbeat_without_a_gap_stays_steady(scene: Scene, witness: str) -> None:
    """Beating in time does not restart the witness's clock."""
    scene.silence(witness, seconds=5)
    beat(scene.ledger, witness, LEASE)
    scene.silence(scene.worker, seconds=60)
    assert reap(scene.ledger, LEASE) is not None


def test_a_worker_taken_for_dead_comes_back(scene: Scene, witness: str) -> None:
    """Its next heartbeat renews the lease: what nobody has taken from it is its own again."""
    kept, taken = scene.tickets(2)
    scene.claim(kept)
    lost = scene.claim(taken)
    scene.silence(scene.worker)
    reap(scene.ledger, LEASE)
    assert list(orphaned_claims(scene.ledger)) == [kept.image_id, taken.image_id]
    scene.fail(lost, Ambiguous("dead"), Decision(end=State.FAILED))
    beat(scene.ledger, scene.worker, LEASE)
    assert not orphaned_claims(scene.ledger)
    assert reap(scene.ledger, LEASE) is None


def test_when_the_latest_death_was_noticed(scene: Scene, witness: str) -> None:
    """A worker that stops in order has not died; one that fell silent has."""
    stop_worker(scene.ledger, register_worker(scene.ledger, "orderly", []))
    assert last_death(scene.ledger) is None
    scene.silence(scene.worker)
    reap(scene.ledger, LEASE)
    noticed = last_death(scene.ledger)
    assert noticed is not None
    assert abs(datetime.now(UTC) - noticed) < timedelta(seconds=5)


def test_a_worker_that_leaves_its_work_counts_as_dead(scene: Scene, witness: str) -> None:
    """Its claims are free at once, its messages lost: also those that it still sends on while it goes."""
    (ticket,) = scene.tickets()
    scene.claim(ticket)
    abandon(scene.ledger, scene.worker)
    assert list(orphaned_claims(scene.ledger)) == [ticket.image_id]
    died = last_death(scene.ledger)
    assert died is not None
    assert timedelta(seconds=0) < died - datetime.now(UTC) < timedelta(seconds=5)
    beat(scene.ledger, scene.worker, LEASE)
    assert last_death(scene.ledger) == died, "its heart beats until its process has ended"
    assert list(orphaned_claims(scene.ledger)) == [ticket.image_id]


def test_the_claims_of_a_worker(scene: Scene, witness: str) -> None:
    """While one of its calls is in flight a worker has claims; others' are not its own."""
    (ticket,) = scene.tickets()
    assert not has_claims(scene.ledger, scene.worker)
    claimed = scene.claim(ticket)
    assert has_claims(scene.ledger, scene.worker)
    assert not has_claims(scene.ledger, witness)
    scene.settle(claimed)
    assert not has_claims(scene.ledger, scene.worker)


def test_queues_that_somebody_serves(scene: Scene, witness: str) -> None:
    """Only living workers count."""
    assert live_queues(scene.ledger) == {"imagechord.deliver", "imagechord.control"}
    stop_worker(scene.ledger, witness)
    assert live_queues(scene.ledger) == {"imagechord.deliver"}
    scene.silence(scene.worker, seconds=leases.EXPIRES.total_seconds() + 1)
    assert live_queues(scene.ledger) == set()
