"""Submitting comes back at once; a worker plans, starts the batch, or says why not."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tasks import intake, submission
from tasks.core import routing
from tasks.core.errors import InputError, NotSent
from tasks.core.request import Request
from tasks.core.states import State
from tasks.ledger import leases, reading, unplanned
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import upgrade
from tasks.ledger.schema import batch, image, source_part
from tasks.ledger.summing import summarise
from tasks.services import Services
from tasks.settings import load_settings
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, rows
from tests.stand_ins.anycap_api import AnycapApi
from tests.stand_ins.ports import free_ports
from tests.stand_ins.s3_server import S3Server
from tests.stand_ins.slack import SlackStandIn
from tests.waiting import wait_until

GOOD = [{"sku": f"A-{n}", "name": f"컵 {n}", "color": "파랑"} for n in range(3)]
BAD = [*GOOD, {"sku": "A-1", "name": "again", "color": "red"}, {"sku": "A-9", "name": "", "color": "red"}]


@pytest.fixture(params=["sqlite", "postgres"])
def services(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Services]:
    """A process that plans, with nothing but a ledger: each database in turn."""
    variables = {}
    if request.param == "postgres":
        variables["IMAGECHORD_DATABASE_URL"] = request.getfixturevalue("postgres_url")
        ledger = Ledger(parse_database_url(variables["IMAGECHORD_DATABASE_URL"]))
        upgrade(ledger)
        ledger.close()
    made = Services(load_settings(variables, tmp_path))
    made.worker_id = leases.register_worker(made.ledger, "here", [])
    yield made
    made.ledger.close()


def planned(services: Services, source: Any, **options: Any) -> str:
    """Take in and plan."""
    batch_id = intake.take_in(services, Request(source, **{"template": "product", "model": "preview", **options}))
    intake.plan_stored(services, batch_id)
    return batch_id


def content(services: Services, batch_id: str) -> dict[str, Any]:
    """What a plan has made: the batch's row, images and skipped rows, without ids and times."""
    own = {"id", "batch_id", "created_at", "moved_at", "started_at", "request", "planner_no", "planner_seen_at"}
    with services.ledger.read() as connection:
        head = connection.execute(select(batch).where(batch.c.id == batch_id)).one()
        images = connection.execute(select(image).where(image.c.batch_id == batch_id).order_by(image.c.id)).all()
    return {
        "batch": {name: value for name, value in head._mapping.items() if name not in own},
        "images": [{name: value for name, value in row._mapping.items() if name not in own} for row in images],
        "skipped": list(reading.skipped_rows(services.ledger, batch_id)),
    }


class TestPlanning:
    @pytest.mark.parametrize("kind", ["list", "iterator", "file"])
    def test_a_worker_plans_as_the_command_line_does(self, services: Services, tmp_path: Path, kind: str) -> None:
        """The same images, skipped rows, notes and frozen catalogue, to the last column."""
        path = tmp_path / "products.csv"
        path.write_bytes("sku,name,color\nA-1,컵,파랑\n\nA-2,,red\n".encode("cp949"))
        make = {"list": lambda: BAD, "iterator": lambda: iter(BAD), "file": lambda: path}[kind]
        options: dict[str, Any] = {"skip_bad_rows": True, "budget_usd": 1.5, "priority": "low", "name": "spring"}
        here = submission.submit(services, Request(make(), "product", model="preview", **options)).batch_id
        there = planned(services, make(), **options)
        assert content(services, there) == content(services, here)
        assert content(services, there)["images"]

    def test_a_model_without_a_price_is_refused_unless_it_is_allowed(self, services: Services, tmp_path: Path) -> None:
        """The worker that plans goes by what the caller has said, as the command line does."""
        config = tmp_path / "unpriced"
        config.mkdir()
        (config / "models.toml").write_text('[models.drawn]\nprovider = "preview"\nmodel = "preview"\n')
        values = {**services.settings.values, "IMAGECHORD_CONFIG": str(config)}
        with_it = Services(replace(services.settings, values=values))
        try:
            refused = planned(with_it, GOOD, model="drawn")
            summary = summarise(with_it.ledger, refused)
            assert summary.phase == "refused"
            assert "--allow-unpriced" in summary.problems[0]
            allowed = summarise(with_it.ledger, planned(with_it, GOOD, model="drawn", allow_unpriced=True))
            assert (allowed.phase, allowed.unpriced) == ("started", ("drawn",))
        finally:
            with_it.ledger.close()

    def test_the_source_is_gone_when_it_has_started(self, services: Services, tmp_path: Path) -> None:
        """The file may go as soon as submit has returned, and the ledger keeps no copy of it."""
        path = tmp_path / "products.csv"
        path.write_text("sku,name,color\nA-1,cup,red\n")
        batch_id = intake.take_in(services, Request(path, "product", model="preview"))
        path.unlink()
        intake.plan_stored(services, batch_id)
        assert summarise(services.ledger, batch_id).counts == {State.PLANNED: 1}
        with services.ledger.read() as connection:
            assert connection.scalar(select(func.count()).select_from(source_part)) == 0

    def test_twenty_thousand_rows_are_taken_in_unread(self, services: Services) -> None:
        """Nothing is planned yet; a bound that planning them would miss by far on a slow machine."""
        source = [{"sku": f"A-{n}", "name": "cup", "color": "red"} for n in range(20_000)]
        intake.take_in(services, Request(GOOD, "product", model="preview"))
        begin = time.process_time()
        batch_id = intake.take_in(services, Request(source, "product", model="preview"))
        assert time.process_time() - begin < 0.5
        assert summarise(services.ledger, batch_id).phase == "planning"
        assert reading.state_counts(services.ledger, batch_id) == {}

    @pytest.mark.parametrize(
        ("source", "options", "says"),
        [
            (GOOD, {"template": "produkt"}, "unknown template"),
            (GOOD, {"model": "nano"}, "unknown model"),
            (GOOD, {"use": "x", "model": None}, "unknown use"),
            (GOOD, {"priority": "urgent"}, "unknown priority"),
            (GOOD, {"column_map": {"name": "title"}}, "there is no column 'title'"),
            ([{"sku": "A-1", "name": "cup"}], {}, "color"),
            ([], {}, "there are no rows"),
            ("nowhere.csv", {}, "there is no file"),
            ("s3://bucket/products.csv", {"template": "produkt"}, "unknown template"),
            ("s3://bucket/products.csv", {"model": "nano"}, "unknown model"),
        ],
    )
    def test_what_shows_at_once_is_said_at_once(
        self, services: Services, source: Any, options: dict[str, Any], says: str
    ) -> None:
        """The caller's error is the caller's, and no batch is made."""
        with pytest.raises(InputError, match=says):
            planned(services, source, **options)
        assert reading.list_batches(services.ledger) == []

    def test_an_idempotency_key_gives_the_first_batch_again(self, services: Services) -> None:
        """Planned or not."""
        request = Request(GOOD, "product", model="preview", idempotency_key="order-17")
        first = intake.take_in(services, request)
        assert intake.take_in(services, request) == first
        intake.plan_stored(services, first)
        assert intake.take_in(services, request) == first


class TestRefusal:
    def test_bad_rows(self, services: Services) -> None:
        """Every problem is in the batch's state, nothing of it was kept, and its key is free."""
        batch_id = planned(services, BAD, idempotency_key="monday")
        summary = summarise(services.ledger, batch_id)
        assert (summary.phase, summary.counts) == ("refused", {})
        assert summary.problems[0] == "rows: 2 of 5 rows cannot be used, nothing was started"
        assert [problem.partition(",")[0] for problem in summary.problems[1:]] == ["line 4", "line 5"]
        assert planned(services, GOOD, idempotency_key="monday") != batch_id

    def test_no_usable_row(self, services: Services) -> None:
        """Even when bad rows are to be skipped."""
        batch_id = planned(services, BAD[-1:], skip_bad_rows=True)
        assert "no row is left" in summarise(services.ledger, batch_id).problems[0]

    def test_thousands_of_problems_are_cut_short(self, services: Services) -> None:
        """The ledger is no place for a hundred thousand sentences."""
        batch_id = planned(services, [{"sku": f"A-{n}", "name": "", "color": "red"} for n in range(3000)])
        problems = summarise(services.ledger, batch_id).problems
        assert problems[0].startswith("rows: 3000 of 3000 rows")
        assert (len(problems), problems[-1]) == (1002, "… and 2,000 more")

    def test_rehearsal_cards_do_not_reach_a_shop_by_accident(self, tmp_path: Path) -> None:
        """Decided by the worker, with the worker's settings."""
        services = Services(load_settings({"CMS_URL": "http://127.0.0.1:9"}, tmp_path))
        batch_id = planned(services, GOOD)
        assert "CMS_URL would receive them" in summarise(services.ledger, batch_id).problems[0]
        services.ledger.close()

    def test_our_own_mistake(self, services: Services) -> None:
        """A source that cannot be read is not tried for ever."""
        new = submission.new_batch(services, Request(GOOD, "product"), "rows", (), catalogue={})
        kept = {
            "source": {"name": "rows", "keys": ["sku", "name", "color"], "url": None},
            "options": Request(GOOD, "product").options,
            "order": None,
        }
        unplanned.take_in(services.ledger, new, kept, [b"no json"])
        intake.plan_stored(services, new.id)
        assert "unexpected JSONDecodeError" in summarise(services.ledger, new.id).problems[0]

    def test_a_batch_that_kills_its_planners(self, services: Services) -> None:
        """Ten have died: the eleventh does not try."""
        batch_id = intake.take_in(services, Request(GOOD, "product", model="preview"))
        for _ in range(10):
            assert unplanned.claim_planning(services.ledger, batch_id, "doomed") is not None
            unplanned.free_unplanned(services.ledger, unplanned.STALE)
        intake.plan_stored(services, batch_id)
        assert "10 workers have tried" in summarise(services.ledger, batch_id).problems[0]


class TestS3:
    @pytest.fixture
    def bucket(self, moto_server: S3Server, tmp_path: Path) -> Services:
        """A process that reaches a bucket with a file in it."""
        moto_server.create_public_bucket("sources")
        text = "sku,name,color\nA-1,컵,파랑\nA-2,잔,빨강\n"
        moto_server.client.put_object(Bucket="sources", Key="2026/products.csv", Body=text.encode("cp949"))
        return Services(load_settings(moto_server.environment, tmp_path))

    def test_an_object_is_planned(self, bucket: Services) -> None:
        """Under its own name, with its own encoding."""
        batch_id = planned(bucket, "s3://sources/2026/products.csv")
        row = reading.find_batch(bucket.ledger, batch_id)
        assert (row.phase, row.total, row.columns) == ("started", 2, ("sku", "name", "color"))
        assert (row.source, row.name) == ("s3://sources/2026/products.csv", "products.csv")

    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("s3://sources/nothing.csv", "there is no s3://sources/nothing.csv; check the bucket and the key"),
            ("s3://nowhere/products.csv", "there is no bucket 'nowhere'; create it or correct the source"),
            ("s3://sources", "names no object; write it like s3://bucket/products.csv"),
        ],
    )
    def test_what_is_not_there_is_refused(self, bucket: Services, url: str, says: str) -> None:
        """With the mend, in the batch's state."""
        assert says in summarise(bucket.ledger, planned(bucket, url)).problems[0]

    def test_without_credentials_it_is_refused(self, moto_server: S3Server, tmp_path: Path) -> None:
        """The variables are named."""
        none = {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL_S3": moto_server.url}
        services = Services(load_settings(none, tmp_path))
        batch_id = planned(services, "s3://sources/products.csv")
        assert "AWS_PROFILE" in summarise(services.ledger, batch_id).problems[0]

    def test_a_store_that_is_away_is_asked_again(self, moto_server: S3Server, tmp_path: Path) -> None:
        """Trouble that passes refuses nothing: the batch is free for the next try, ten times."""
        away = moto_server.environment | {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{free_ports(1)[0]}"}
        services = Services(load_settings(away, tmp_path))
        batch_id = intake.take_in(services, Request("s3://sources/products.csv", "product", model="preview"))
        for _ in range(9):
            with pytest.raises(NotSent):
                intake.plan_stored(services, batch_id)
            assert reading.phase_of(services.ledger, batch_id) == "planning"
        intake.plan_stored(services, batch_id)
        assert "check the network" in summarise(services.ledger, batch_id).problems[0]


SUBMIT = "from tasks.batches import submit; print(submit({rows!r}, template='tiny', model='quick', {more}))"


def submitted(stack: Stack, source: Any, more: str = "") -> str:
    """``batches.submit`` in a process of its own; returns the batch's id."""
    return stack.python(SUBMIT.format(rows=source, more=more)).strip()


def only_batch(stack: Stack) -> str:
    """The id of the one batch there is."""
    (row,) = reading.list_batches(stack.services.ledger)
    return row.id


def phase(stack: Stack, batch_id: str) -> str:
    """Where the batch is."""
    return reading.phase_of(stack.services.ledger, batch_id)


class TestWithWorkers:
    def test_rows_from_python_are_published(self, stack: Stack, api: AnycapApi) -> None:
        """Submitted while no worker runs; the first one that comes plans, starts and finishes the batch."""
        batch_id = submitted(stack, rows(["cup-0", "cup-1"]))
        assert phase(stack, batch_id) == "planning"
        stack.start_worker()
        stack.wait(batch_id)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        assert len(api.charges) == 2

    def test_a_refusal_is_told_to_slack_and_to_whoever_waits(self, make_stack: MakeStack, api: AnycapApi) -> None:
        """Once, with the problems; nothing is bought."""
        with SlackStandIn() as slack:
            stack = make_stack(**slack.environment)
            stack.start_worker()
            batch_id = submitted(stack, [*rows(["cup-0"]), {"sku": "cup-1", "name": ""}])
            wait = f"""
from tasks.batches import start, status, wait
from tasks.core.errors import InputError
try:
    wait({batch_id!r})
except InputError as error:
    print(error, error.problems[0], sep='\\n')
start({batch_id!r})
print(status({batch_id!r}).phase)
"""
            told, problem, phase_then = stack.python(wait).splitlines()
            assert told == "rows: 1 of 2 rows cannot be used, nothing was started"
            assert problem.startswith("line 2, column 'name'")
            assert phase_then == "refused"
            wait_until(lambda: slack.messages, what="the message")
            stack.run(rows(["cup-9"]))
            texts = [message["text"] for message in slack.messages]
            assert [text[0] for text in texts] == ["⛔", "🚀", "✅"], texts
            assert "line 2" in str(slack.messages[0]["blocks"])
            assert len(api.charges) == 1

    def test_an_order_with_a_source_is_published(self, stack: Stack) -> None:
        """``send_task`` from another code base names a file that the worker can read."""
        path = stack.folder / "products.csv"
        path.write_text("sku,name\ncup-0,cup\n")
        order = {"source": str(path), "template": "tiny", "model": "quick", "priority": "high"}
        stack.shop.send_task(routing.START_BATCH, kwargs=order, queue=routing.CONTROL_QUEUE)
        stack.start_worker()
        wait_until(lambda: reading.list_batches(stack.services.ledger), 30, "the batch")
        stack.wait(only_batch(stack))
        assert stack.states(only_batch(stack)) == {"cup-0": State.PUBLISHED}

    @pytest.mark.parametrize(
        ("order", "says"),
        [
            ({"rows": rows(["cup-0"]), "template": "tyni"}, "unknown template"),
            ({"rows": rows(["cup-0"])}, "needs template"),
            ({"source": "/nowhere/products.csv", "template": "tiny"}, "there is no file"),
            ({"rows": [{"sku": "cup-0", "name": ""}], "template": "tiny"}, "1 of 1 rows cannot be used"),
        ],
    )
    def test_a_wrong_order_is_one_refused_batch(self, make_stack: MakeStack, order: dict[str, Any], says: str) -> None:
        """Nobody waits for the task's answer, so it is in the ledger and in Slack; delivered twice, it is still one."""
        with SlackStandIn() as slack:
            stack = make_stack(**slack.environment)
            worker = stack.start_worker()
            order = {**order, "model": "quick", "idempotency_key": "monday"}
            for _ in range(2):
                stack.shop.send_task(routing.START_BATCH, kwargs=order, task_id="order-17", queue=routing.CONTROL_QUEUE)
            wait_until(lambda: worker.words.count("order-17] succeeded") == 2, 30, "both deliveries")
            summary = stack.counts(only_batch(stack))
            assert summary.phase == "refused"
            assert says in summary.problems[0]
            assert len(slack.messages) == 1

    @pytest.mark.parametrize("trouble", ["refuses connections", "does not answer"])
    def test_a_broker_that_is_away_loses_nothing(self, make_stack: MakeStack, trouble: str) -> None:
        """Submit comes back all the same, in seconds, and the sweep begins the batch when it can."""
        stack = make_stack(NERVOUS)
        broker = stack.valkey._process
        assert broker is not None
        url = stack.environment["IMAGECHORD_REDIS_URL"]
        if trouble == "refuses connections":
            stack.environment["IMAGECHORD_REDIS_URL"] = f"redis://127.0.0.1:{free_ports(1)[0]}/0"
        else:
            broker.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        batch_id = submitted(stack, rows(["cup-0"]))
        assert time.monotonic() - begin < 30, "the start of a process, and seconds of patience"
        broker.send_signal(signal.SIGCONT)
        stack.environment["IMAGECHORD_REDIS_URL"] = url
        stack.start_worker()
        stack.wait(batch_id)
        assert stack.states(batch_id) == {"cup-0": State.PUBLISHED}
