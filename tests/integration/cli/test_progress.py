"""What ``status`` and ``watch`` tell of a batch that is under way."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest
from rich.cells import cell_len

from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import upgrade
from tests.contract.ledger.scene import MODEL, OTHER_MODEL, Scene, planned
from tests.integration.cli.shop import COMMAND, Shop
from tests.waiting import wait_until

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def under_way(shop: Shop) -> Iterator[Scene]:
    """A shop whose ledger has forty pictures of two models: twelve published, one being drawn, the others to come."""
    with closing(Ledger(parse_database_url(f"sqlite:///{shop.folder}/.imagechord/ledger.sqlite3"))) as ledger:
        upgrade(ledger)
        scene = Scene(ledger)
        images = [planned(n, model=OTHER_MODEL if n >= 30 else MODEL) for n in range(40)]
        batch_id = scene.submit(images, name="autumn")
        tickets = [dispatch.ticket for dispatch in scene.release(batch_id, window=20)]
        scene.release(batch_id, window=5, model=OTHER_MODEL)
        for ticket in tickets[:12]:
            scene.publish(ticket)
        scene.claim(tickets[12])
        yield scene


def test_status_tells_pace_limits_and_time_left(shop: Shop, under_way: Scene) -> None:
    """For the batch and for each model, within 80 columns."""
    told = shop.call("status").stdout
    rows = {line.split()[0]: " ".join(line.split()) for line in told.splitlines() if line.strip()}

    assert re.search(r"Time left +about .+, at [0-9]+ a minute", told)
    assert re.fullmatch(rf"{MODEL} 12 18 [0-9]+/min about .+ 60/min, 8 at once", rows[MODEL])
    assert re.fullmatch(rf"{OTHER_MODEL} 0 10 0/min about .+ 30/min, 6 at once", rows[OTHER_MODEL])
    assert max(cell_len(line) for line in told.splitlines()) <= 80


def test_status_tells_them_as_data_too(shop: Shop, under_way: Scene) -> None:
    """``eta_seconds`` and ``pace_per_minute`` of the batch and by model; each model's limits, the found one null."""
    data = shop.json("status")

    first, second = data["per_model"]
    assert (first["model"], first["done"], first["left"]) == (MODEL, 12, 18)
    assert first["counts"] == {"published": 12, "generating": 1, "queued": 7, "planned": 10}
    assert second["eta_seconds"] == pytest.approx(10 / 0.4 + 15, abs=15)
    assert data["eta_seconds"] == max(first["eta_seconds"], second["eta_seconds"])
    assert data["pace_per_minute"] == first["pace_per_minute"] > 0
    limits = {limit["name"]: limit for limit in data["limits"]}
    assert limits[MODEL]["per_minute"] == limits[MODEL]["in_force_per_minute"] == 60
    assert limits[MODEL]["found_per_minute"] is None


def test_a_batch_that_nobody_works_on_has_no_time_left(shop: Shop, under_way: Scene) -> None:
    """Better no number than a wrong one."""
    under_way.submit(3, name="winter")

    assert shop.json("status", "winter")["eta_seconds"] is None
    assert "Time left  not known: nothing has been sent to a worker yet" in shop.call("status", "winter").stdout


def test_a_finished_batch_has_nothing_left(rehearsed: Shop) -> None:
    """No table of what is to come, and zero seconds."""
    assert rehearsed.json("status")["eta_seconds"] == 0
    assert "Time left" not in rehearsed.call("status").stdout


def test_watch_on_a_terminal_tells_pace_and_time_left(shop: Shop, under_way: Scene) -> None:
    """Beside the bar; where the pictures are, below it; never wider than the terminal."""
    ours, theirs = pty.openpty()
    environment = {**shop.environment, "TERM": "xterm-256color"}
    with subprocess.Popen([COMMAND, "watch"], cwd=shop.folder, env=environment, stdout=theirs, stderr=theirs) as ran:
        os.close(theirs)
        seen = bytearray()

        def told() -> list[str]:
            seen.extend(os.read(ours, 65536))
            return [line for line in re.split(r"[\r\n]+", _CONTROL.sub("", seen.decode(errors="replace"))) if line]

        wait_until(lambda: any("generating" in line for line in told()), 30, "the second line")
        ran.send_signal(signal.SIGINT)
    lines = told()
    os.close(ours)

    assert any(re.search(r"12/40 0:00:\d\d \d+/min, about .+ left", line) for line in lines)
    assert any("15 planned, 12 queued, 1 generating" in line for line in lines)
    assert max(cell_len(line) for line in lines) <= 80
