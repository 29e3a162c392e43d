"""A short run of ``scripts/chaos``, and the proof that its gates fall for builds that are broken."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.chaos.run import Plan, run
from tests.chaos.schedule import Kind

SCRIPT = Path(__file__).parents[2] / "scripts" / "chaos"


@pytest.mark.timeout(400)
def test_a_batch_under_fire() -> None:
    """Workers are killed, the broker forgets, connections break, answers are bad: every gate holds."""
    arguments = ["--images", "150", "--kills", "4", "--seed", "1", "--json"]
    ran = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=380, check=False)
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout)
    assert figures["failed_gates"] == []
    assert figures["events"] == sum(line.startswith("  at ") for line in ran.stderr.splitlines()) / 2
    assert figures["events"] >= 10
    assert sum(figures["states"].values()) == 150
    assert figures["states"]["published"] > 100
    assert figures["unknowns"] > 0
    assert figures["copied_messages"] > 0


@pytest.mark.timeout(200)
def test_a_build_without_the_claim_is_found_out(tmp_path: Path) -> None:
    """Workers that buy whatever a message says pay twice for copies of messages: the maker's count says so."""
    sabotage = ("-I", "tests.chaos.sabotage.no_claim")
    duplicates = frozenset({Kind.DUPLICATE})
    plan = Plan(1, images=100, kills=12, worker_options=sabotage, kinds=duplicates, patience_seconds=20.0)
    fallen = {finding.gate for finding in run(plan, tmp_path / "chaos").findings}
    assert {"bought_once", "every_charge_was_claimed", "money_adds_up"} <= fallen


@pytest.mark.timeout(200)
def test_a_build_that_loses_settlements_is_found_out(tmp_path: Path) -> None:
    """Workers that forget what they have bought leave images without an end: the run stalls, and says which."""
    sabotage = ("-I", "tests.chaos.sabotage.lost_settlement")
    plan = Plan(1, images=30, kills=0, worker_options=sabotage, kinds=frozenset(), patience_seconds=20.0)
    found = {finding.gate: finding.words for finding in run(plan, tmp_path / "chaos").findings}
    assert {"it_ends", "every_row_has_one_end", "one_true_summary", "nothing_is_left_over"} <= found.keys()
    assert "state=generating" in found["it_ends"]
    assert "cup-00009" in found["it_ends"]
