"""Jobs: an image whose provider answers later is nobody's, and is taken back by whoever hears of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from tasks.core.dispatch import Ticket
from tasks.core.errors import LeaseLost, Refused, Superseded
from tasks.core.retry import Decision
from tasks.core.states import State
from tasks.ledger import jobs, leases, settling, summing
from tasks.ledger.claiming import NoClaim, claim
from tasks.ledger.rows import Claim, Job
from tasks.ledger.schema import image, picture
from tests.contract.ledger.scene import PRICE, Scene, bought

SOON = timedelta(seconds=30)


def a_job(*, due_in: timedelta = SOON, look_in: timedelta = SOON) -> Job:
    """A job as it is handed in."""
    now = datetime.now(UTC)
    return Job("fal", submitted_at=now, due_at=now + due_in, look_at=now + look_in)


def hand_in(scene: Scene, ticket: Ticket, job: Job | None = None, job_id: str | None = "job-1") -> Claim:
    """Claim, write the intent down, and (with a name) let the provider have it."""
    claimed = scene.claim(ticket)
    new = job or a_job()
    jobs.intend(scene.ledger, claimed, new, {"name": "imagechord.collect", "args": [ticket.image_id, 1]})
    if job_id is not None:
        assert not jobs.accepted(scene.ledger, claimed, Job(**(fields(new) | {"job_id": job_id})))
    return claimed


def fields(job: Job) -> dict[str, object]:
    """A job's values by name."""
    return {name: getattr(job, name) for name in Job.__slots__}


def holder(scene: Scene, ticket: Ticket) -> str | None:
    """Whose the image is."""
    with scene.ledger.read() as connection:
        return connection.scalar(select(image.c.worker_id).where(image.c.id == ticket.image_id))


def collected(scene: Scene, ticket: Ticket) -> tuple[Claim, Job]:
    """Take the image back."""
    taken = jobs.take(scene.ledger, ticket, scene.worker)
    assert isinstance(taken, tuple), taken
    return taken


def test_a_job_that_was_taken_on_is_nobodys_until_it_is_collected(scene: Scene) -> None:
    """No worker holds the image meanwhile; a message that comes twice buys nothing; collecting settles it as usual."""
    (ticket,) = scene.tickets()
    hand_in(scene, ticket)
    assert holder(scene, ticket) is None
    assert not leases.has_claims(scene.ledger, scene.worker)
    assert not leases.orphaned_claims(scene.ledger)
    assert claim(scene.ledger, ticket, scene.worker) is NoClaim.TWIN
    claimed, job = collected(scene, ticket)
    assert (job.provider, job.job_id, job.called, job.said) == ("fal", "job-1", False, None)
    assert jobs.take(scene.ledger, ticket, scene.worker) is jobs.NoJob.TWIN
    scene.settle(claimed)
    assert jobs.take(scene.ledger, ticket, scene.worker) is jobs.NoJob.PAST
    summary = summing.summarise(scene.ledger, claimed.batch_id)
    assert summary.spent_usd_micros == PRICE


def test_a_call_that_comes_before_the_submit_has_returned_is_not_lost(scene: Scene) -> None:
    """The submitter is told that the provider has called already; what it said is in the job."""
    (ticket,) = scene.tickets()
    claimed = hand_in(scene, ticket, job_id=None)
    called = jobs.call_came(scene.ledger, ticket.image_id, claimed.fence, b"early", datetime.now(UTC) + SOON)
    assert called is not None
    assert called.message is not None
    assert jobs.take(scene.ledger, ticket, scene.worker) is jobs.NoJob.TWIN, "its submitter has it"
    assert jobs.accepted(scene.ledger, claimed, Job(**(fields(a_job()) | {"job_id": "job-1"})))
    _claimed, job = collected(scene, ticket)
    assert (job.job_id, job.called, job.said) == ("job-1", True, b"early")


def test_the_first_call_counts(scene: Scene) -> None:
    """A repeated call and one about a job that has ended set nothing going; one about no job is told apart."""
    (ticket,) = scene.tickets()
    fence = hand_in(scene, ticket).fence
    later = datetime.now(UTC) + SOON
    first = jobs.call_came(scene.ledger, ticket.image_id, fence, b"one", later)
    assert first is not None
    assert first.message == {"name": "imagechord.collect", "args": [ticket.image_id, 1]}
    assert jobs.call_came(scene.ledger, ticket.image_id, fence, b"two", later) == jobs.Called(None, too_late=False)
    claimed, job = collected(scene, ticket)
    assert job.said == b"one"
    scene.settle(claimed)
    assert jobs.call_came(scene.ledger, ticket.image_id, fence, b"three", later) == jobs.Called(None, too_late=False)
    assert jobs.call_came(scene.ledger, ticket.image_id, fence + 1, b"", later) is None
    assert jobs.call_came(scene.ledger, 4711, 1, b"", later) is None


def test_a_job_is_asked_about_when_it_is_time_and_again_when_that_message_is_lost(scene: Scene) -> None:
    """Due once for each moment; one that is being collected, or has ended, is not due."""
    ripe, unripe, taken, ended = scene.tickets(4)
    past = a_job(look_in=timedelta(seconds=-1))
    for ticket in (ripe, taken, ended):
        hand_in(scene, ticket, past)
    hand_in(scene, unripe)
    collected(scene, taken)
    scene.settle(collected(scene, ended)[0])
    assert [message["args"] for message in jobs.due(scene.ledger, datetime.now(UTC))] == [[ripe.image_id, 1]]
    assert len(jobs.due(scene.ledger, datetime.now(UTC) + SOON)) == 1
    assert jobs.due(scene.ledger, datetime.now(UTC)) == []


def test_what_is_not_ready_is_let_go(scene: Scene) -> None:
    """The image is nobody's again, and the looks are counted."""
    (ticket,) = scene.tickets()
    hand_in(scene, ticket)
    claimed, _job = collected(scene, ticket)
    jobs.look_later(scene.ledger, claimed, datetime.now(UTC) - SOON)
    assert holder(scene, ticket) is None
    assert collected(scene, ticket)[1].looks == 1
    assert not jobs.due(scene.ledger, datetime.now(UTC)), "somebody is at it"


@pytest.mark.parametrize("job_id", ["job-1", None])
def test_a_job_goes_on_without_its_worker(scene: Scene, job_id: str | None) -> None:
    """Killed while it collected, or before the provider had answered: the image is parked, and no claim is orphaned.

    A job whose name is known is asked about at once; of another one the provider may still call.
    """
    (ticket,) = scene.tickets()
    hand_in(scene, ticket, job_id=job_id)
    if job_id:
        collected(scene, ticket)
    assert jobs.park_orphans(scene.ledger, datetime.now(UTC) - SOON) == 0, "its worker lives"
    leases.abandon(scene.ledger, scene.worker)
    assert jobs.park_orphans(scene.ledger, datetime.now(UTC) - SOON) == 1
    assert holder(scene, ticket) is None
    assert not leases.orphaned_claims(scene.ledger)
    assert len(jobs.due(scene.ledger, datetime.now(UTC))) == (1 if job_id else 0)


def test_a_settlement_that_was_lost_in_a_living_worker_is_made_up_for(scene: Scene) -> None:
    """A job that has been in a worker's hands for longer than any call takes is asked about again."""
    (ticket,) = scene.tickets()
    hand_in(scene, ticket)
    collected(scene, ticket)
    assert jobs.park_orphans(scene.ledger, datetime.now(UTC)) == 1


def test_a_claim_without_a_job_stays_an_orphan(scene: Scene) -> None:
    """The provider had not taken it on, or cannot: parking is not for it."""
    plain, forgotten = scene.tickets(2)
    scene.claim(plain)
    jobs.forget(scene.ledger, hand_in(scene, forgotten, job_id=None))
    leases.abandon(scene.ledger, scene.worker)
    assert jobs.park_orphans(scene.ledger, datetime.now(UTC)) == 0
    assert set(leases.orphaned_claims(scene.ledger)) == {plain.image_id, forgotten.image_id}


def test_a_lost_child_leaves_its_job_alone(scene: Scene) -> None:
    """``park`` is for one claim; without a job it does nothing."""
    handed_in, plain = scene.tickets(2)
    with_job = hand_in(scene, handed_in, job_id=None)
    assert jobs.park(scene.ledger, with_job)
    assert holder(scene, handed_in) is None
    assert not jobs.park(scene.ledger, scene.claim(plain))


def test_out_of_date_messages_collect_nothing(scene: Scene) -> None:
    """Another sending, an unknown image, an image that has ended, a worker without a lease."""
    (ticket, ended) = scene.tickets(2)
    hand_in(scene, ticket)
    with pytest.raises(Superseded):
        jobs.take(scene.ledger, Ticket(ticket.image_id, 2), scene.worker)
    with pytest.raises(Superseded):
        jobs.take(scene.ledger, Ticket(4711, 1), scene.worker)
    hand_in(scene, ended)
    claimed, _job = collected(scene, ended)
    settling.settle_failure(scene.ledger, claimed, Refused("no"), Decision(end=State.REFUSED))
    with pytest.raises(Superseded):
        jobs.take(scene.ledger, ended, scene.worker)
    leases.abandon(scene.ledger, scene.worker)
    with pytest.raises(LeaseLost):
        jobs.take(scene.ledger, ticket, scene.worker)
    assert holder(scene, ticket) is None


def test_a_picture_that_comes_too_late_is_kept_for_whoever_needs_it(scene: Scene) -> None:
    """The job was given up and counts as spent; what it brings after all is not paid for again."""
    (ticket,) = scene.tickets()
    hand_in(scene, ticket)
    claimed, _job = collected(scene, ticket)
    settling.settle_failure(scene.ledger, claimed, Refused("given up"), Decision(end=State.UNKNOWN))
    called = jobs.call_came(scene.ledger, ticket.image_id, claimed.fence, b"at last", datetime.now(UTC))
    assert called == jobs.Called(None, too_late=True)
    found = jobs.late(scene.ledger, ticket.image_id, claimed.fence)
    assert found is not None
    late, job = found
    assert (late.fingerprint, job.said) == (claimed.fingerprint, b"at last")
    settling.keep_late(scene.ledger, late, bought(late))
    with scene.ledger.read() as connection:
        assert connection.scalar(select(picture.c.bought).where(picture.c.fingerprint == late.fingerprint))
    assert jobs.late(scene.ledger, 4711, 1) is None
