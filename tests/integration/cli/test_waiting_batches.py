"""What the commands say about a batch that a worker is to plan, or has refused."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing

import pytest

from tasks import intake
from tasks.core.request import Request
from tasks.ledger import leases
from tasks.services import Services
from tasks.settings import load_settings
from tests.integration.cli.shop import Shop
from tests.waiting import wait_until

ROWS = [{"sku": f"A-{n}", "name": "" if n else "cup", "color": "red"} for n in range(60)]


@pytest.fixture
def services(shop: Shop) -> Iterator[Services]:
    """A web process and a worker in the shop's folder."""
    made = Services(load_settings({}, shop.folder))
    with closing(made.ledger):
        made.worker_id = leases.register_worker(made.ledger, "here", [])
        yield made


@pytest.fixture
def waiting(services: Services) -> str:
    """A batch that nobody has planned yet."""
    return intake.take_in(services, Request(ROWS, "product", model="preview", name="spring"))


def test_a_batch_that_waits_for_a_worker_is_shown(shop: Shop, waiting: str) -> None:
    """Also as the latest, and in the list."""
    ran = shop.call("status")
    assert ran.returncode == 0
    assert f"spring  {waiting}" in ran.stdout
    assert "being read by a worker, or waiting for one" in ran.stdout
    assert f"imagechord watch {waiting}" in ran.stderr
    assert shop.json("status")["phase"] == "planning"
    assert "planning" in shop.call("status", "--all").stdout


def test_watching_says_that_nobody_plans(shop: Shop, waiting: str) -> None:
    """Never hang silently; Ctrl-C stops watching and nothing else."""
    shop.environment["REDIS_URL"] = "redis://127.0.0.1:9/0"
    process = shop.start("watch", waiting)
    assert process.stderr is not None
    lines: list[str] = []

    def told() -> bool:
        assert process.stderr is not None
        lines.append(process.stderr.readline())
        return "no worker serves" in lines[-1]

    wait_until(told, 30, "a word about the missing worker")
    assert "imagechord.control" in lines[-1]
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "goes on" in rest


def test_a_refused_batch_says_why_and_what_to_do(shop: Shop, services: Services, waiting: str) -> None:
    """The first problems, and where the others are; whoever watches it gets exit code 2."""
    intake.plan_stored(services, waiting)

    ran = shop.call("status", waiting)

    assert ran.returncode == 0
    assert "refused: rows: 59 of 60 rows cannot be used, nothing was started" in ran.stdout
    assert ran.stdout.count("•") == 50
    assert f"… and more; imagechord status {waiting} --json lists them" in ran.stdout
    assert "mend it and submit it again" in ran.stderr
    told = shop.json("status", waiting)
    assert (told["phase"], len(told["problems"])) == ("refused", 60)
    assert "refused" in shop.call("status", "--all").stdout
    watched = shop.call("watch", waiting)
    assert watched.returncode == 2
    assert "59 of 60 rows" in watched.stdout


def test_priority_is_an_option_of_run_and_submit(shop: Shop) -> None:
    """And a word that is none is refused before anything is made."""
    ran = shop.call("run", "--priority", "urgent")
    assert ran.returncode == 2
    assert "unknown priority 'urgent'; there are low, normal, high" in ran.stderr
    assert shop.files() == set()
    assert "--priority" in shop.call("submit", "--help").stdout
