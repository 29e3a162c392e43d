"""Two hosts, one Redis: whoever has another ledger or another staging is refused, with the mend."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.cluster import LEDGER_KEY, STAGING_KEY
from tasks.core.states import State
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, Worker, rows
from tests.stand_ins.anycap_api import AnycapApi
from tests.waiting import wait_until

ROWS = "sku,name\ncup-1,cup-1\n"


def command(stack: Stack, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``imagechord`` on a host that differs in these variables."""
    program = "from tasks.cli.main import main; import sys; sys.argv = ['imagechord', *sys.argv[1:]]; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=stack.environment | variables,
        cwd=stack.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refusal(stack: Stack, *options: str, **variables: str) -> str:
    """What a worker says that does not start, on a host that differs in these variables."""
    ours = stack.environment
    stack.environment = ours | variables
    try:
        worker = Worker(stack, "refused", options)
    finally:
        stack.environment = ours
    stack.workers.append(worker)
    assert worker.process.wait(60) == 2, worker.words
    assert "Traceback" not in worker.words
    return worker.words


@pytest.mark.parametrize("pool", ["threads", "prefork", "gevent"])
def test_a_worker_with_another_ledger_does_not_start(make_stack: MakeStack, tmp_path: Path, pool: str) -> None:
    """It says why in a sentence, without a traceback, and exits with the code of bad settings."""
    stack = make_stack()
    stack.start_worker()
    words = refusal(stack, "-P", pool, IMAGECHORD_HOME=str(tmp_path / "elsewhere"))
    assert "this worker does not start: this Redis serves another ledger" in words
    assert f"redis-cli del {LEDGER_KEY}" in words


def test_a_batch_is_not_written_where_no_worker_looks(stack: Stack, tmp_path: Path) -> None:
    """``run``, ``submit`` and Python's ``submit`` refuse on a host with another ledger, and leave none behind."""
    stack.start_worker()
    elsewhere = tmp_path / "elsewhere"
    (stack.folder / "rows.csv").write_text(ROWS)
    for name in ("run", "submit"):
        done = command(
            stack, name, "rows.csv", "--template", "tiny", "--model", "quick", IMAGECHORD_HOME=str(elsewhere)
        )
        assert done.returncode == 2, done.stderr
        assert "this Redis serves another ledger" in " ".join(done.stderr.split())
    stack.environment |= {"IMAGECHORD_HOME": str(elsewhere)}
    told = stack.python(
        "from tasks.batches import submit\n"
        "from tasks.core.errors import ConfigurationError\n"
        "try: submit([{'sku': 'a', 'name': 'a'}], template='tiny', model='quick')\n"
        "except ConfigurationError as error: print(error)"
    )
    assert "this Redis serves another ledger" in told
    assert not (elsewhere / "ledger.sqlite3").exists()


def test_doctor_says_it(stack: Stack, tmp_path: Path) -> None:
    """One line for the cluster, good on a host that belongs to it and bad on another."""
    stack.start_worker()

    def cluster(**variables: str) -> dict[str, str]:
        found = json.loads(command(stack, "doctor", "--json", **variables).stdout)["components"]
        return next(one for one in found if one["component"] == "cluster")

    assert cluster()["status"] == "ok"
    elsewhere = cluster(IMAGECHORD_HOME=str(tmp_path / "elsewhere"))
    assert (elsewhere["status"], "another ledger" in elsewhere["detail"]) == ("bad", True)
    apart = cluster(STAGING_URL=(tmp_path / "apart").as_uri())
    assert (apart["status"], "STAGING_URL" in apart["detail"]) == ("bad", True)


def test_a_worker_that_cannot_see_the_staging_does_not_start(stack: Stack, tmp_path: Path) -> None:
    """One ledger and two folders: what the one buys the other could not deliver."""
    stack.start_worker()
    words = refusal(stack, STAGING_URL=(tmp_path / "apart").as_uri())
    assert "this worker does not start: the staging of this Redis's workers is not file://" in words
    assert f"redis-cli del {STAGING_KEY}" in words


def test_a_staging_that_was_emptied_by_hand(make_stack: MakeStack, api: AnycapApi) -> None:
    """It is the cluster's again as soon as one of its workers has looked, and a second worker may start."""
    stack = make_stack(NERVOUS)
    stack.start_worker("one")
    staging = stack.folder / "home" / "staging"
    shutil.rmtree(staging)
    stack.redis.delete("imagechord:staging-kept")  # a minute goes by
    wait_until(lambda: staging.is_dir() and any(staging.iterdir()), what="the mark")
    stack.start_worker("two")
    assert set(stack.states(stack.run(rows(["cup"]))).values()) == {State.PUBLISHED}


def test_moving_house(make_stack: MakeStack, tmp_path: Path) -> None:
    """With no other worker and nothing bought that waits, a new staging is simply the cluster's from then on."""
    stack = make_stack(NERVOUS)
    first = stack.start_worker("one")
    stack.run(rows(["cup"]))
    first.terminate()
    first.process.wait(20)
    before = stack.redis.get(STAGING_KEY)
    stack.environment["STAGING_URL"] = (tmp_path / "new").as_uri()
    stack.start_worker("two")
    assert stack.redis.get(STAGING_KEY) not in {None, before}


def test_a_redis_that_comes_back_empty(make_stack: MakeStack, tmp_path: Path) -> None:
    """Its workers register again what it has lost, before another host can make a second cluster of it."""
    stack = make_stack(NERVOUS)
    stack.start_worker()
    known = [stack.redis.get(key) for key in (LEDGER_KEY, STAGING_KEY)]
    stack.empty_broker()
    wait_until(lambda: [stack.redis.get(key) for key in (LEDGER_KEY, STAGING_KEY)] == known, what="the ids")
    refusal(stack, IMAGECHORD_HOME=str(tmp_path / "elsewhere"))


def test_a_worker_stops_when_its_redis_becomes_anothers(make_stack: MakeStack) -> None:
    """Two clusters on one Redis would buy everything twice: the one that finds out ends."""
    stack = make_stack(NERVOUS)
    worker = stack.start_worker()
    stack.redis.set(LEDGER_KEY, "another")
    worker.process.wait(60)
    assert "this worker stops: this Redis serves another ledger (another" in worker.words


def test_webhooks_that_cannot_be_signed_start_no_worker(stack: Stack) -> None:
    """WEBHOOK_BASE_URL without WEBHOOK_SECRET: the worker and doctor say what to set."""
    base_url = {"WEBHOOK_BASE_URL": "https://shop.example"}
    assert "WEBHOOK_BASE_URL is set, so WEBHOOK_SECRET has to be" in refusal(stack, **base_url)

    said = [
        next(one["status"] for one in json.loads(told.stdout)["components"] if one["component"] == "webhooks")
        for variables in (base_url, {}, {**base_url, "WEBHOOK_SECRET": "s" * 32})
        for told in [command(stack, "doctor", "--json", **variables)]
    ]
    assert said == ["bad", "off", "ok"]
