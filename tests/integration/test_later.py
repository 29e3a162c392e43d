"""Pictures that a provider makes while nobody waits: called for by its webhooks, or asked about."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import requests
from sqlalchemy import func, select

from tasks.core.states import State
from tasks.ledger.schema import job
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, Worker, prompt_of, rows
from tests.stand_ins.anycap_api import depicts
from tests.stand_ins.job_maker import JobMaker, Manner
from tests.stand_ins.ports import free_ports
from tests.stand_ins.slack import SlackStandIn
from tests.waiting import wait_until

LATER = """\
[models.later]
provider = "tests.stand_ins.job_maker:JobImages"
model = "later-1"
price_usd = 0.03
price_date = 2026-11-01
price_source = "a test"
sizes = { mode = "list", sizes = ["64x64"] }
typical_seconds = 0.5
"""
NAMES = [f"cup-{number}" for number in range(5)]
PRICE = 30_000


def later_stack(
    make_stack: MakeStack, maker: JobMaker, model: str = "deadline_seconds = 60", preferences: str = "", **more: str
) -> Stack:
    """An installation with a model ``later``."""
    stack = make_stack(NERVOUS + preferences, **maker.environment, **more)
    models = stack.folder / "config/models.toml"
    models.write_text(models.read_text() + LATER + model)
    return stack


def webhooks() -> dict[str, str]:
    """The variables by which providers find the endpoint."""
    return {
        "WEBHOOK_BASE_URL": f"http://127.0.0.1:{free_ports(1)[0]}",
        "WEBHOOK_SECRET": "a-secret-of-ours-alone",
        "IMAGECHORD_WEB_TOKEN": "a-token-of-ours-alone",
    }


@contextmanager
def endpoint(stack: Stack) -> Iterator[None]:
    """``imagechord web``, where WEBHOOK_BASE_URL leads."""
    base_url = stack.environment["WEBHOOK_BASE_URL"]
    program = [sys.executable, "-c", "from tasks.cli.main import main; main()"]
    with (stack.folder / "web.log").open("ab") as log:
        command = [*program, "web", "--port", str(urlsplit(base_url).port)]
        server = subprocess.Popen(command, env=stack.environment, cwd=stack.folder, stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(base_url), what="the endpoint")
        yield
    finally:
        server.kill()
        server.wait()


def answers(base_url: str) -> bool:
    """Whether somebody listens."""
    try:
        return requests.get(f"{base_url}/healthz", timeout=5).ok
    except requests.ConnectionError:
        return False


def submit(stack: Stack, names: list[str]) -> str:
    """A batch of them, started."""
    batch_id = stack.submit(rows(names), model="later")
    stack.start(batch_id)
    return batch_id


def named_jobs(stack: Stack) -> int:
    """How many jobs the ledger knows by their providers' names."""
    with stack.services.ledger.read() as connection:
        return connection.scalar(select(func.count()).where(job.c.job_id.is_not(None))) or 0


def published(stack: Stack, batch_id: str, name: str) -> bytes:
    """What the world sees of a picture."""
    url = stack.images(batch_id)[name].public_url
    assert url is not None
    return Path(unquote(urlsplit(url).path)).read_bytes()


def most_megabytes(worker: Worker) -> float:
    """The most memory that a worker has had so far."""
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@pytest.mark.timeout(240)
def test_jobs_hold_no_slot_and_end_by_being_asked_about(make_stack: MakeStack) -> None:
    """One thread has five jobs out at once, their worker is killed, and another one collects what was paid for once."""
    with JobMaker() as maker, SlackStandIn() as slack:
        stack = later_stack(make_stack, maker, **slack.environment)
        first = stack.start_worker("one", "-c", "1")
        batch_id = submit(stack, NAMES)
        wait_until(lambda: len(maker.jobs) == 5, what="five jobs")
        wait_until(lambda: maker.asked, what="a question")
        first.kill()
        stack.start_worker("two", "-c", "1")
        maker.finish()
        # A question that was lost with its worker is asked again a minute later.
        stack.wait(batch_id, 120)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        assert len(maker.jobs) == 5
        assert stack.counts(batch_id).spent_usd_micros == 5 * PRICE
        for name in NAMES:
            assert depicts(published(stack, batch_id, name), prompt_of(name))
        assert slack.messages[-1]["text"][0] == "✅"


@pytest.mark.timeout(400)
def test_five_hundred_jobs_outlive_everything_and_are_paid_once(make_stack: MakeStack) -> None:
    """Worker, endpoint and broker are killed while 500 are out; webhooks come early, twice, late or never."""
    names = [f"cup-{number}" for number in range(500)]
    manners = [Manner.ONCE, Manner.TWICE, Manner.ONCE, Manner.ONCE, Manner.NEVER]
    manner_of = {prompt_of(name): manners[number % len(manners)] for number, name in enumerate(names)}
    manner_of |= {prompt_of(name): Manner.EARLY for name in names[:50]}
    with JobMaker(lambda prompt, _number: manner_of[prompt]) as maker, SlackStandIn() as slack:
        stack = later_stack(
            make_stack,
            maker,
            "deadline_seconds = 300",
            "webhook_overdue_seconds = 5",
            **webhooks(),
            **slack.environment,
        )
        with endpoint(stack):
            first = stack.start_worker("one", "-c", "4")
            batch_id = submit(stack, names)
            # Of a call that is cut off before its answer is written down nobody could know more than what is called.
            wait_until(lambda: named_jobs(stack) == 500, 150, "500 jobs")
            assert sum(not each.done for each in maker.jobs.values()) == 450
            assert most_megabytes(first) < 200
            first.kill()
        stack.empty_broker()
        second = stack.start_worker("two", "-c", "4")
        with endpoint(stack):
            maker.finish()
            stack.wait(batch_id, 150)
            late = [job for job in maker.jobs.values() if job.manner is Manner.NEVER]
            for job in late[:10]:
                maker.call(job)
        assert Counter(stack.states(batch_id).values()) == {State.PUBLISHED: 500}
        assert len(maker.jobs) == 500
        assert stack.counts(batch_id).spent_usd_micros == 500 * PRICE
        assert {status for job in maker.jobs.values() for status in job.answers} == {200}
        assert most_megabytes(second) < 200
        assert sum(message["text"][0] == "✅" for message in slack.messages) == 1


def test_the_calls_in_flight_are_the_jobs_that_are_out(make_stack: MakeStack) -> None:
    """Three may be at the provider at once, though no worker holds them; a refusal and a 429 end as they should."""

    def manner_of(prompt: str, number: int) -> Manner:
        if prompt == prompt_of("cup-1"):
            return Manner.REFUSED
        return Manner.BUSY if prompt == prompt_of("cup-3") and number == 1 else Manner.ONCE

    with JobMaker(manner_of) as maker:
        stack = later_stack(make_stack, maker, "deadline_seconds = 60\nlimits = { in_flight = 3 }", **webhooks())
        with endpoint(stack):
            stack.start_worker()
            batch_id = submit(stack, [f"cup-{number}" for number in range(9)])
            wait_until(lambda: maker.outstanding == 3, what="three jobs")
            maker.prompt = True
            maker.finish()
            stack.wait(batch_id)
        assert maker.most_outstanding == 3
        assert Counter(stack.states(batch_id).values()) == {State.PUBLISHED: 8, State.REFUSED: 1}
        assert len(maker.jobs) == 9


@pytest.mark.parametrize("called", [True, False])
def test_a_job_whose_answer_was_lost(make_stack: MakeStack, called: bool) -> None:
    """Where the provider calls, it tells of it and nothing is bought twice; else its outcome is unknown."""

    def manner_of(_prompt: str, number: int) -> Manner:
        return Manner.LOST if number == 1 else Manner.ONCE

    with JobMaker(manner_of) as maker:
        maker.prompt = True
        stack = later_stack(make_stack, maker, **(webhooks() if called else {}))
        stack.start_worker()
        if called:
            with endpoint(stack):
                batch_id = submit(stack, NAMES[:1])
                stack.wait(batch_id)
        else:
            batch_id = submit(stack, NAMES[:1])
            stack.wait(batch_id)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        assert len(maker.jobs) == (1 if called else 2)
        assert stack.counts(batch_id).spent_usd_micros == len(maker.jobs) * PRICE


def test_what_comes_after_its_time_is_kept(make_stack: MakeStack) -> None:
    """A job that was given up as unknown brings its picture later: doing the image again costs nothing then."""
    with JobMaker() as maker:
        stack = later_stack(make_stack, maker, "deadline_seconds = 1", 'on_unknown = "hold"', **webhooks())
        worker = stack.start_worker()
        batch_id = submit(stack, NAMES[:1])
        stack.wait(batch_id)
        assert set(stack.states(batch_id).values()) == {State.UNKNOWN}
        with endpoint(stack):
            maker.finish()
        wait_until(lambda: "came late and is kept" in worker.words, what="the picture")
        stack.python(f"from tasks.batches import retry; retry({batch_id!r})")
        wait_until(lambda: set(stack.states(batch_id).values()) == {State.PUBLISHED}, what="the picture's end")
        assert len(maker.jobs) == 1
        assert stack.counts(batch_id).spent_usd_micros == PRICE


def test_the_whole_way_of_a_job_can_be_rehearsed_offline(make_stack: MakeStack) -> None:
    """``preview-async`` calls the real endpoint for each of its cards, and nobody has to ask."""
    with JobMaker() as maker:
        stack = later_stack(make_stack, maker, preferences="webhook_overdue_seconds = 600", **webhooks())
        with endpoint(stack):
            stack.start_worker("one", "-c", "1")
            batch_id = stack.run(rows(NAMES), model="preview-async")
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        with stack.services.ledger.read() as connection:
            jobs = connection.execute(select(job.c.called_at, job.c.looks, job.c.ended_at)).all()
        assert [(row.called_at is not None, row.looks, row.ended_at is not None) for row in jobs] == [
            (True, 0, True)
        ] * 5
