"""``--json``: one document on standard output from every command, and nothing else there, whatever comes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.cli.main import COMMANDS
from tests.integration.cli.shop import Shop, interrupt
from tests.waiting import wait_until

CALLS: dict[str, tuple[str, ...]] = {
    "run": ("run", "products.csv", "-t", "product", "-m", "preview"),
    "plan": ("plan", "products.csv", "-t", "product", "--skip-bad-rows"),
    "submit": ("submit", "products.csv", "-t", "product"),
    "watch": ("watch",),
    "status": ("status",),
    "status --all": ("status", "--all"),
    "show": ("show", "A-1"),
    "retry": ("retry",),
    "pause": ("pause",),
    "resume": ("resume",),
    "cancel": ("cancel",),
    "publish": ("publish",),
    "rollback": ("rollback", "--dry-run"),
    "limits": ("limits",),
    "report": ("report",),
    "export": ("export", "--output", "all.csv"),
    "cost": ("cost",),
    "models": ("models",),
    "templates": ("templates",),
    "doctor": ("doctor",),
    "init": ("init", "begun"),
    "migrate": ("migrate",),
    "web": ("web", "--port", "0"),
    "no such batch": ("status", "nonsense"),
    "no such file": ("plan", "gone.csv", "-t", "product"),
    "no such option": ("run", "--colour"),
    "no such value": ("run", "products.csv", "--limit", "0"),
    "no such command": ("rnu",),
}
REFUSED = {
    "run",
    "submit",
    "pause",
    "cancel",
    "rollback",
    "web",
    *(name for name in CALLS if name.startswith("no such")),
}
"""What cannot be done in that shop: a row is bad, there is neither broker nor CMS, the batch is over; or nobody can."""


@pytest.fixture(scope="module")
def answers(rehearsed: Shop) -> dict[str, Any]:
    """What each call has printed, in the shop whose batch has ended."""
    calling = [sys.executable, str(Path(__file__).with_name("calling.py"))]
    ran = subprocess.run(
        calling,
        input=json.dumps([[*arguments, "--json"] for arguments in CALLS.values()]),
        cwd=rehearsed.folder,
        env=rehearsed.environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return dict(zip(CALLS, json.loads(ran.stdout), strict=True))


def test_every_command_is_asked() -> None:
    """One that is added has its line above."""
    assert {command.name for command in COMMANDS} <= set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_one_document_and_nothing_else(name: str, answers: dict[str, Any]) -> None:
    """Data on standard output, or what went wrong with the exit code; people's words are left out."""
    answer = answers[name]
    told = json.loads(answer["stdout"])
    if name in REFUSED:
        assert set(told) == {"error", "exit_code"}, told
        assert set(told["error"]) == {"class", "message", "problems"}
        assert told["error"]["message"]
        assert (told["exit_code"], answer["code"]) == (2, 2)
        assert "error:" not in answer["stderr"]
    else:
        assert "error" not in told, told
        assert answer["code"] == 0, answer


def test_bad_rows_are_listed_one_by_one(answers: dict[str, Any]) -> None:
    """As a person is told them: line, column, value and mend."""
    told = json.loads(answers["run"]["stdout"])["error"]
    assert told["class"] == "InputError"
    assert told["message"] == "products.csv: 1 of 4 rows cannot be used, nothing was started"
    (problem,) = told["problems"]
    assert problem.startswith("line 4, column 'sku', value '../x'")


def test_the_manifest_is_a_document_a_line(rehearsed: Shop) -> None:
    """On standard output, so that a hundred thousand pictures need not be held at once."""
    lines = rehearsed.call("export", "--json").stdout.splitlines()
    assert [json.loads(line)["sku"] for line in lines][:2] == ["A-1", "A-2"]


def test_who_stops_waiting_is_told_how_it_stands(shop: Shop) -> None:
    """An interrupted run ends in a document like any other, with exit code 130."""
    shop.write("products.csv", "sku,name,color\n" + "".join(f"A-{n},Mug,white\n" for n in range(300)))
    with shop.start("run", "products.csv", "-t", "product", "-m", "preview", "--json") as process:
        log = shop.folder / ".imagechord" / "worker.log"
        # Not at its very start: CPython swallows a KeyboardInterrupt in what it calls after a fork.
        wait_until(lambda: log.exists() and "ready." in log.read_text("utf-8"), 30, "a worker of its own")
        interrupt(process)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    told = json.loads(stdout)
    assert (told["total"], told["exit_code"]) == (300, 130)
