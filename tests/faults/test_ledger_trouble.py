"""A ledger that is away, locked or full in the middle of a batch: everything is repeated, nothing is bought twice."""

from __future__ import annotations

import resource
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tasks.core.errors import LedgerUnavailable
from tasks.core.states import State
from tasks.ledger.summing import claim_message
from tasks.steps.slack_summary import send_once
from tests.faults.test_interruptions import slow_calls
from tests.faults.test_killed_worker import unknown_calls
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, Worker, prompt_of, rows
from tests.integration.test_cluster_limits import MODEL
from tests.stand_ins.anycap_api import AnycapApi
from tests.stand_ins.maker import Maker
from tests.stand_ins.postgres import PostgresServer
from tests.stand_ins.s3_server import S3Server
from tests.stand_ins.slack import SlackStandIn
from tests.waiting import wait_until

NAMES = [f"cup-{n}" for n in range(24)]
CALL_SECONDS = 2.0
OUTAGE_SECONDS = 10.0
HEALED_WITHIN_SECONDS = 60.0


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    """Counts the summaries."""
    with SlackStandIn() as server:
        yield server


def pass_time(seconds: float) -> None:
    """What is tested is time itself."""
    threading.Event().wait(seconds)


def start_batch(stack: Stack, model: str = "quick") -> tuple[str, list[Worker]]:
    """Two workers and a batch of which the first calls are on their way."""
    workers = [stack.start_worker(name) for name in ("one", "two")]
    batch_id = stack.submit(rows(NAMES), model=model)
    stack.start(batch_id)
    return batch_id, workers


def check_completed(stack: Stack, batch_id: str, workers: list[Worker], slack: SlackStandIn) -> None:
    """All is published and said once, by the workers that were there; no call's outcome was forgotten."""
    stack.wait(batch_id, HEALED_WITHIN_SECONDS)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert [worker.process.poll() for worker in workers] == [None, None]
    assert [message["text"][0] for message in slack.messages] == ["🚀", "✅"]
    assert unknown_calls(stack) == 0
    counts = stack.counts(batch_id)
    assert (counts.published, counts.total) == (len(NAMES), len(NAMES))


def test_a_claimed_message_is_sent_though_the_ledger_goes_away(
    make_stack: MakeStack, slack: SlackStandIn, postgres_server: PostgresServer
) -> None:
    """Nobody else would send it: its claim is in the ledger."""
    stack = make_stack(NERVOUS, IMAGECHORD_DATABASE_URL=postgres_server.create_database(), **slack.environment)
    stack.python("import sys; sys.argv = ['imagechord', 'migrate']; from tasks.cli.main import main; main()")
    said = claim_message(stack.services.ledger, stack.submit(rows(NAMES)), "start", "a-worker")
    assert said is not None
    stack.services.ledger.close()
    postgres_server.stop()
    with pytest.raises(LedgerUnavailable):
        send_once(stack.services, said, {"text": "begun"})
    assert [message["text"] for message in slack.messages] == ["begun"]
    postgres_server.start()


def test_postgresql_stops_and_starts(
    make_stack: MakeStack, api: AnycapApi, slack: SlackStandIn, postgres_server: PostgresServer
) -> None:
    """Calls that end while the database is away are settled when it is back; none is made in between."""
    slow_calls(api, CALL_SECONDS)
    stack = make_stack(NERVOUS, IMAGECHORD_DATABASE_URL=postgres_server.create_database(), **slack.environment)
    stack.python("import sys; sys.argv = ['imagechord', 'migrate']; from tasks.cli.main import main; main()")
    batch_id, workers = start_batch(stack)
    wait_until(lambda: stack.paid_calls() >= 4, what="calls in flight")
    stack.services.ledger.close()
    postgres_server.stop()
    pass_time(CALL_SECONDS + 1)
    asked = len(api.calls)
    pass_time(OUTAGE_SECONDS - CALL_SECONDS)
    assert len(api.calls) == asked < len(NAMES)
    assert len(api.charges) == asked, "their calls ended in the outage"
    postgres_server.start()
    check_completed(stack, batch_id, workers, slack)
    assert sorted(call.prompt for call in api.charges) == sorted(map(prompt_of, NAMES))


def test_sqlite_is_locked_by_another_process(make_stack: MakeStack, api: AnycapApi, slack: SlackStandIn) -> None:
    """A lock that outlasts the busy timeout by far: claims, settlements and heartbeats wait, and go on after it."""
    slow_calls(api, CALL_SECONDS)
    stack = make_stack(NERVOUS, **slack.environment)
    file = stack.folder / "home" / "ledger.sqlite3"
    stack.environment["IMAGECHORD_DATABASE_URL"] = f"sqlite:///{file}?timeout=1"
    batch_id, workers = start_batch(stack)
    wait_until(lambda: stack.paid_calls() >= 4, what="calls in flight")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        pass_time(CALL_SECONDS + 1)
        asked = len(api.calls)
        pass_time(OUTAGE_SECONDS - CALL_SECONDS)
        assert len(api.calls) == asked < len(NAMES)
        other.execute("ROLLBACK")
    check_completed(stack, batch_id, workers, slack)
    assert sorted(call.prompt for call in api.charges) == sorted(map(prompt_of, NAMES))
    assert "the ledger is not available: database is locked" in workers[0].words + workers[1].words


@contextmanager
def full_disk(*workers: Worker) -> Iterator[None]:
    """Within the block no file of these processes can grow, as on a full disk (they get EFBIG, not ENOSPC)."""
    for worker in workers:
        resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for worker in workers:
            resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)


def test_the_ledgers_disk_is_full(make_stack: MakeStack, slack: SlackStandIn, moto_server: S3Server) -> None:
    """What was called is written down when there is room again, and until then nothing is called."""
    for bucket in ("full-public", "full-staging"):
        moto_server.create_public_bucket(bucket)
    with Maker(latency_seconds=CALL_SECONDS) as maker:
        stack = make_stack(
            NERVOUS,
            S3_BUCKET="full-public",
            STAGING_URL="s3://full-staging/waiting",
            **moto_server.environment,
            **maker.environment,
            **slack.environment,
        )
        (stack.folder / "config" / "models.toml").write_text(MODEL.format(alias="maker", limits="{ in_flight = 4 }"))
        batch_id, workers = start_batch(stack, "maker")
        wait_until(lambda: len(maker.started) >= 4, what="calls in flight")
        with full_disk(*workers):
            pass_time(CALL_SECONDS + 1)
            asked = len(maker.started)
            pass_time(OUTAGE_SECONDS - CALL_SECONDS)
            assert len(maker.started) == asked < len(NAMES)
        check_completed(stack, batch_id, workers, slack)
        assert len(maker.started) == len(NAMES)
