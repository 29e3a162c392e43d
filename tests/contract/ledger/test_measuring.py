"""The ledger in figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from tasks.core.errors import Ambiguous, Overloaded
from tasks.core.holds import Reason
from tasks.core.retry import Decision
from tasks.core.states import State
from tasks.ledger import events, holding, jobs, leases
from tasks.ledger.engine import Ledger
from tasks.ledger.measuring import Calls, Figures, measure
from tasks.ledger.rows import Job
from tasks.ledger.schema import batch, event
from tests.contract.ledger.scene import MODEL, OTHER_MODEL, PRICE, Scene, planned

NOW = datetime.now(UTC)
EXPIRES = timedelta(seconds=15)
FAILED = Decision(end=State.FAILED)


def test_an_empty_ledger_has_its_figures(ledger: Ledger) -> None:
    """None of them is missing."""
    assert measure(ledger, EXPIRES) == Figures({}, {}, {}, {}, 0, 0, 0, {})


def test_images_are_counted_over_all_batches(scene: Scene) -> None:
    """By model and state; together they are all images there are, at every moment."""
    scene.submit([planned(n, model=MODEL if n else OTHER_MODEL) for n in range(3)])
    second = scene.submit(2)
    scene.release(second)
    figures = measure(scene.ledger, EXPIRES)
    states = {MODEL: {State.QUEUED: 4}, OTHER_MODEL: {State.PLANNED: 1}}
    assert figures.images == states
    assert figures.batches == {"started": 2}


def test_the_money_is_that_of_the_batches(scene: Scene) -> None:
    """Calls that brought a picture, calls that did not, and those of which nobody knows, which count as paid."""
    first, second, third, fourth = scene.tickets(4)
    scene.generate(first)
    scene.fail(scene.claim(second), Overloaded("HTTP 503"), FAILED)
    scene.fail(scene.claim(third), Ambiguous("no answer"), FAILED)
    scene.claim(fourth)
    with scene.ledger.read() as connection:
        spent = connection.scalar(select(func.sum(batch.c.spent_usd_micros)))
    assert spent == 2 * PRICE
    assert measure(scene.ledger, EXPIRES).calls == {MODEL: Calls(ended=3, spent_usd_micros=2 * PRICE)}


def test_what_waits_is_counted(scene: Scene) -> None:
    """Holds by their reason, jobs at a provider, and what a batch's webhook is still to be told."""
    held, other = scene.submit(2), scene.submit(1)
    with scene.ledger.write() as connection:
        events.add_webhook(connection, other, "https://shop.example.com")
        holding.put_on_hold(connection, held, MODEL, Reason.ACCOUNT, "HTTP 402")
        connection.execute(event.insert().values(batch_id=other, type="batch.started", happened_at=NOW, details={}))
    (dispatch,) = scene.release(other)
    holding.pause(scene.ledger, held)
    jobs.intend(scene.ledger, scene.claim(dispatch.ticket), Job("m", submitted_at=NOW, due_at=NOW, look_at=NOW), {})
    figures = measure(scene.ledger, EXPIRES)
    assert figures.holds == {Reason.ACCOUNT: 1, Reason.PAUSED: 1}
    assert (figures.open_jobs, figures.untold_events) == (1, 1)


def test_the_living_are_counted_by_their_queues(scene: Scene) -> None:
    """Not those that have stopped, nor those whose heartbeat is too old."""
    leases.register_worker(scene.ledger, "there", ["imagechord.deliver", "imagechord.control"])
    leases.stop_worker(scene.ledger, leases.register_worker(scene.ledger, "gone", ["imagechord.deliver"]))
    figures = measure(scene.ledger, EXPIRES)
    assert (figures.workers, figures.served) == (2, {"imagechord.deliver": 2, "imagechord.control": 1})
    assert measure(scene.ledger, timedelta(0)).workers == 0
