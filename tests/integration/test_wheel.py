"""The wheel, built and installed as a user gets it: without the checkout, with everything it needs inside."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the project's own back-end, without asking any index."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [*PIP, "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    return next(folder.glob("imagechord-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel in a folder of its own; its dependencies come from this environment."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", str(folder), str(wheel)], check=True)
    return folder


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in an empty folder."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(installed)}
    command = [sys.executable, str(installed / "bin" / "imagechord"), *arguments]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=90, check=False)


def test_the_wheel_holds_all_data_and_only_one_package(wheel: Path) -> None:
    """Every file of config/ and every data file of tasks/ is in it, and no `config` that a host could trip over."""
    names = set(zipfile.ZipFile(wheel).namelist())
    files = [path.relative_to(ROOT) for folder in ("tasks", "config") for path in (ROOT / folder).rglob("*.*")]
    wanted = {path.as_posix() for path in files if (ROOT / path).is_file() and path.suffix != ".pyc"}

    assert {f"tasks/_{name}" if name.startswith("config/") else name for name in wanted} - names == set()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"tasks", "imagechord"}


def test_a_campaign_runs_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    """Catalogue, templates, font, Lua, migrations and the report's page are all found without the checkout."""
    where = "import tasks.cli.main as m; print(m.__file__)"
    loaded = subprocess.run(
        [sys.executable, "-c", where],
        env={"PYTHONPATH": str(installed)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.startswith(str(installed))

    ran = run(installed, tmp_path, "run", "--limit", "2")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2/2" in ran.stdout
    assert len(list((tmp_path / "output").glob("*.jpg"))) == 2
    assert list((tmp_path / "output" / "reports").glob("*/index.html"))
