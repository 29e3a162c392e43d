"""``scripts/bench`` measures what it says: with small sizes its figures are there and sane, fast or not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
COSTS = (
    "cpu_ms_per_image",
    "submit_cpu_ms_per_image",
    "redis_cpu_ms_per_image",
    "server_cpu_ms_per_image",
    "worker_peak_rss_mb",
    "redis_peak_mb",
)


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    return subprocess.run([ROOT / "scripts" / "bench", *arguments], capture_output=True, text=True, check=False)


def measured(path: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """The JSON of a quick run, and what was printed."""
    ran = bench("--quick", "--json", str(path), *arguments)
    assert ran.returncode == 0, ran.stderr
    return json.loads(path.read_text()), ran.stdout


@pytest.mark.timeout(300)
def test_all_contestants_publish_every_picture(tmp_path: Path) -> None:
    """One small batch by each of the three: nothing is lost or paid twice, and the figures are of a real run."""
    found, printed = measured(tmp_path / "bench.json", "throughput:24")

    figures = {each["who"]: each["figures"] for each in found["measured"]}
    assert list(figures) == ["imagechord", "thread pool", "stock canvas"]
    for each in figures.values():
        assert (each["lost"], each["charged_twice"], each["refused_429"], each["summary_sent"]) == (0, 0, 0, True)
        assert 0.1 < each["images_per_second"] < 10_000
        assert all(0 <= each[name] < 10_000 for name in COSTS)
    assert found["measured"][1]["ratios"]["images_per_second"] > 0
    assert found["machine"]["cores"] >= 1
    assert "| images per second " in printed


@pytest.mark.timeout(300)
def test_submit_and_fairness_are_measured(tmp_path: Path) -> None:
    """Rows of this project alone give every figure too."""
    found, _printed = measured(tmp_path / "bench.json", "submit:60", "fairness:40", "--who", "imagechord")

    submit, fairness = (each["figures"] for each in found["measured"])
    assert all(isinstance(value, int | float) and 0 <= value < 10_000 for value in submit.values())
    assert submit["submit_peak_rss_mb"] > 10
    assert fairness["seconds"] > 0
    assert fairness["images_meanwhile"] >= 10


@pytest.mark.timeout(300)
def test_a_limit_is_enforced_and_its_use_measured(tmp_path: Path) -> None:
    """A script that knows no limit runs into it, and is never given more than the maker allows."""
    path = tmp_path / "bench.json"
    found, _printed = measured(path, "utilisation:600", "--who", "thread pool")

    assert [each["case"] for each in found["measured"]] == ["token bucket", "fixed window"]
    for each in found["measured"]:
        assert each["figures"]["refused_429"] > 0
        assert 0 < each["figures"]["refused_percent"] < 100
        assert each["figures"]["utilisation"] is None or 0 < each["figures"]["utilisation"] <= 1.1
    table = bench("--show", str(path), "--readme").stdout
    assert "a maker that allows 600 images a minute, fixed window" in table


def test_an_unknown_row_is_named() -> None:
    """What cannot be measured is said before anything is."""
    ran = bench("nonsense")

    assert ran.returncode != 0
    assert "'nonsense' is not a row" in ran.stderr
