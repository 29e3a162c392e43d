"""Whatever happens in whatever order, every image is in one state, the money adds up, and the batch comes to rest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select, update

from tasks.core.day_budget import DayBudget
from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import Account, Ambiguous, LeaseLost, NoImage, Overloaded, RateLimited, Refused, Superseded
from tasks.core.holds import WHOLE, Reason
from tasks.core.retry import Decision
from tasks.core.states import ENDED, WAITING, State
from tasks.ledger import claiming, delivering, holding, leases, sweeping
from tasks.ledger.dispatching import give_back, redispatch
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.reading import bought_fingerprints
from tasks.ledger.rows import Claim
from tasks.ledger.schema import attempt, batch, image, model_day
from tasks.ledger.summing import claim_message, is_resting, summarise
from tests.contract.ledger.scene import MODEL, PRICE, Scene, planned

FAILURES = st.sampled_from(
    [
        (Overloaded("503"), Decision(wait_seconds=1.0)),
        (RateLimited("429"), Decision(wait_seconds=90.0)),
        (NoImage("empty", cost_usd_micros=PRICE), Decision(wait_seconds=1.0)),
        (Ambiguous("timeout"), Decision(wait_seconds=1.0)),
        (Ambiguous("timeout"), Decision(end=State.UNKNOWN)),
        (Refused("no"), Decision(end=State.REFUSED)),
        (Account("402"), Decision(end=State.HELD, holds_others=True)),
    ]
)
DAY = DayBudget("2026-11-22", 6 * PRICE, datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))
LOST = (Ambiguous("the worker died"), Decision(wait_seconds=1.0))


class Moves(RuleBasedStateMachine):
    """Every move of the ledger, with any ticket and any claim there ever was: late, repeated or out of date."""

    make: Callable[[], Ledger]
    tickets: Bundle[Ticket] = Bundle("tickets")
    claims: Bundle[Claim] = Bundle("claims")
    workers: Bundle[str] = Bundle("workers")
    batches: Bundle[str] = Bundle("batches")

    @initialize(target=workers)
    def begin(self) -> str:
        self.scene = Scene(type(self).make())
        self.ledger = self.scene.ledger
        self.names = count(1)
        self.sent: dict[int, int] = {}
        return self.scene.worker

    @rule(
        target=batches,
        fingerprints=st.lists(st.sampled_from(["a" * 64, "b" * 64, None]), min_size=1, max_size=4),
        budget=st.sampled_from([None, PRICE, 3 * PRICE]),
    )
    def submit(self, fingerprints: list[str | None], budget: int | None) -> str:
        images = [planned(next(self.names), fingerprint=fingerprint) for fingerprint in fingerprints]
        return self.scene.submit(images, budget_usd_micros=budget)

    @rule(target=tickets, batch_id=batches, window=st.integers(1, 4))
    def release(self, batch_id: str, window: int) -> Any:
        return self._note(self.scene.release(batch_id, window))

    @rule(target=tickets, ticket=tickets)
    def send_again(self, ticket: Ticket) -> Any:
        return self._note(redispatch(self.ledger, [ticket.image_id]))

    def _note(self, dispatches: list[Any]) -> Any:
        for dispatch in dispatches:
            assert dispatch.ticket.dispatch_no > self.sent.get(dispatch.ticket.image_id, 0)
            self.sent[dispatch.ticket.image_id] = dispatch.ticket.dispatch_no
        return multiple(*(dispatch.ticket for dispatch in dispatches))

    @rule(target=claims, ticket=tickets, worker=workers)
    def claim(self, ticket: Ticket, worker: str) -> Any:
        fingerprint = self.scene.image(ticket.image_id).fingerprint
        paid_for = bought_fingerprints(self.ledger, [fingerprint])
        held = holding.holds(self.ledger, self.scene.image(ticket.image_id).batch_id)
        try:
            claimed = claiming.claim(self.ledger, ticket, worker, DAY)
        except (Superseded, LeaseLost):
            return multiple()
        if not isinstance(claimed, Claim):
            return multiple()
        assert not paid_for
        assert not held
        assert ticket.dispatch_no == self.sent[ticket.image_id]
        row = self.scene.batch(claimed.batch_id)
        budget = row.budget_usd_micros
        assert budget is None or row.spent_usd_micros + row.reserved_usd_micros <= budget
        return claimed

    @rule(claimed=claims, cost=st.sampled_from([0, PRICE // 2, PRICE, 2 * PRICE]))
    def settle(self, claimed: Claim, cost: int) -> None:
        with suppress(Superseded):
            self.scene.settle(claimed, cost)

    @rule(claimed=claims, failure=FAILURES)
    def fail(self, claimed: Claim, failure: tuple[Any, Decision]) -> None:
        with suppress(Superseded):
            self.scene.fail(claimed, *failure)

    @rule(ticket=tickets, step=st.sampled_from([StepName.UPLOAD, StepName.PATCH]), works=st.booleans())
    def deliver(self, ticket: Ticket, step: StepName, works: bool) -> None:
        with suppress(Superseded):
            delivery = delivering.load(self.ledger, ticket, step)
            if delivery is None:
                return
            if delivery.stopped_by is not None:
                holding.stop_delivery(self.ledger, delivery, step)
                return
            if not works:
                decision = Decision(wait_seconds=90.0)
                delivering.settle_delivery_failure(self.ledger, delivery, step, Overloaded("503"), decision)
            elif step is StepName.UPLOAD:
                delivering.settle_uploaded(self.ledger, delivery, "key", "url")
            else:
                delivering.settle_published(self.ledger, delivery, "204")

    @rule(ticket=tickets)
    def give_back(self, ticket: Ticket) -> None:
        give_back(self.ledger, ticket)

    @rule(target=workers)
    def worker_comes(self) -> str:
        return leases.register_worker(self.ledger, "another", [])

    @rule(worker=workers)
    def worker_is_taken_for_dead(self, worker: str) -> None:
        leases.stop_worker(self.ledger, worker)

    @rule(worker=workers)
    def worker_beats(self, worker: str) -> None:
        leases.beat(self.ledger, worker)

    @rule(target=workers, worker=consumes(workers))
    def worker_stays_dead_and_is_replaced(self, worker: str) -> str:
        leases.stop_worker(self.ledger, worker)
        return leases.register_worker(self.ledger, "another", [])

    @rule(batch_id=batches)
    def pause(self, batch_id: str) -> None:
        holding.pause(self.ledger, batch_id)

    @rule(batch_id=batches, model=st.sampled_from([MODEL, WHOLE]), passes=st.booleans())
    def meet_trouble(self, batch_id: str, model: str, passes: bool) -> None:
        until = datetime.now(UTC) if passes else None
        with self.ledger.write() as connection:
            holding.put_on_hold(connection, batch_id, model, Reason.FAILURES, "trouble", until)

    @rule(batch_id=batches, budget=st.sampled_from([None, 4 * PRICE]))
    def resume(self, batch_id: str, budget: int | None) -> None:
        holding.resume(self.ledger, batch_id, budget)

    @rule(batch_id=batches)
    def cancel(self, batch_id: str) -> None:
        holding.cancel(self.ledger, batch_id)

    @rule()
    def keep_holds(self) -> None:
        holding.lift_due(self.ledger)
        holding.apply_holds(self.ledger)

    @rule()
    def sweep_orphans(self) -> None:
        for image_id in leases.orphaned_claims(self.ledger):
            orphan = claiming.orphan(self.ledger, image_id)
            assert orphan is not None
            self.scene.fail(orphan, *LOST)

    @invariant()
    def adds_up(self) -> None:
        if hasattr(self, "ledger"):
            for row in self._batches():
                self._check(row)
            self._check_day()

    def _check_day(self) -> None:
        """The model's account for the day is what its calls have reserved and spent."""
        calls = select(func.coalesce(func.sum(attempt.c.cost_usd_micros), 0)).where(attempt.c.budget_day == DAY.day)
        reserved = select(func.coalesce(func.sum(image.c.reserved_usd_micros), 0))
        with self.ledger.read() as connection:
            account = connection.execute(select(model_day)).first()
            spent, flying = connection.scalar(calls), connection.scalar(reserved)
        if account is not None:
            assert (account.spent_usd_micros, account.reserved_usd_micros) == (spent, flying)

    def _batches(self) -> list[Any]:
        with self.ledger.read() as connection:
            return list(connection.execute(select(batch)).all())

    def _check(self, row: Any) -> None:
        with self.ledger.read() as connection:
            images = connection.execute(select(image).where(image.c.batch_id == row.id)).all()
            calls = connection.scalar(
                select(func.coalesce(func.sum(attempt.c.cost_usd_micros), 0))
                .join(image, image.c.id == attempt.c.image_id)
                .where(image.c.batch_id == row.id)
            )
        buying = [each for each in images if each.state == State.GENERATING]
        assert sum(self.scene.counts(row.id).values()) == row.total == len(images)
        assert row.reserved_usd_micros == sum(each.reserved_usd_micros for each in buying)
        assert all(each.reserved_usd_micros == 0 and each.worker_id is None for each in images if each not in buying)
        assert row.spent_usd_micros == sum(each.cost_usd_micros for each in images) == calls
        assert len({each.fingerprint for each in buying}) == len(buying)

    def teardown(self) -> None:
        """From wherever it got to, honest workers and the sweep bring every batch to rest, and say so once."""
        if not hasattr(self, "ledger"):
            return
        with closing(self.ledger):
            worker = leases.register_worker(self.ledger, "honest", [])
            for row in self._batches():
                self._bring_to_rest(worker)
                assert claim_message(self.ledger, row.id, "end", worker) is not None
                assert claim_message(self.ledger, row.id, "end", worker) is None
                summary = summarise(self.ledger, row.id)
                assert sum(summary.counts.values()) == row.total
                assert set(summary.counts) <= ENDED | WAITING
                self._check(self.scene.batch(row.id))

    def _bring_to_rest(self, worker: str) -> None:
        for _round in range(20):
            if all(is_resting(self.ledger, row.id) for row in self._batches()):
                return
            with self.ledger.write() as connection:
                connection.execute(update(image).values(not_before=None))
            self._settle_every_claim()
            holding.apply_holds(self.ledger)
            for model in sweeping.releasable(self.ledger):
                self.scene.release_model(model=model)
            for dispatch in redispatch(self.ledger, sweeping.unclaimed_before(self.ledger, datetime.now(UTC))):
                self._work(dispatch.ticket, worker)
        raise AssertionError("the batches do not come to rest")

    def _settle_every_claim(self) -> None:
        with self.ledger.read() as connection:
            held = connection.scalars(select(image.c.id).where(image.c.state == State.GENERATING)).all()
        for image_id in held:
            orphan = claiming.orphan(self.ledger, image_id)
            assert orphan is not None
            self.scene.fail(orphan, *LOST)

    def _work(self, ticket: Ticket, worker: str) -> None:
        with suppress(Superseded):
            claimed = claiming.claim(self.ledger, ticket, worker, DAY)
            if isinstance(claimed, Claim):
                self.scene.settle(claimed)
            self.deliver(ticket=ticket, step=StepName.UPLOAD, works=True)
            self.deliver(ticket=ticket, step=StepName.PATCH, works=True)


def test_counts_add_up(fresh_url: Callable[[], str]) -> None:
    """No order of moves loses an image, spends money that is not booked, or keeps a batch from coming to rest."""
    quick = fresh_url().startswith("sqlite")
    machine = type("AnyOrder", (Moves,), {"make": staticmethod(lambda: Ledger(parse_database_url(fresh_url())))})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25 if quick else 8,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
