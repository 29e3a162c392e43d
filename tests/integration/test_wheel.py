"""The wheel, built and installed as a user gets it: without the checkout, with what it declares and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the project's own back-end, without asking any index."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [*PIP, "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    return next(folder.glob("imagechord-*.whl"))


def declared(requirements: list[str], extras: frozenset[str], seen: set[str]) -> Iterator[Distribution]:
    """The distributions that these requirements bring in, and what those bring in."""
    for text in requirements:
        wanted = Requirement(text)
        environments = [{"extra": extra} for extra in extras or {""}]
        if wanted.name in seen or (wanted.marker and not any(map(wanted.marker.evaluate, environments))):
            continue
        seen.add(wanted.name)
        found = distribution(wanted.name)
        yield found
        yield from declared(found.requires or [], frozenset(wanted.extras), seen)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own with the wheel and, linked in from ours, the dependencies that it declares."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    [target] = (folder / "lib").glob("python*/site-packages")
    subprocess.run([*PIP, "--python", str(folder), "install", "--no-deps", "--no-index", str(wheel)], check=True)
    metadata = next(target.glob("imagechord-*.dist-info"))
    for found in declared(Distribution.at(metadata).requires or [], frozenset(), set()):
        for top in {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}:
            if not (target / top).exists():
                (target / top).symlink_to(str(found.locate_file(top)))
    return folder


def test_the_wheel_holds_all_data_and_only_one_package(wheel: Path) -> None:
    """Every file of config/ and every data file of tasks/ is in it, and no `config` that a host could trip over."""
    names = set(zipfile.ZipFile(wheel).namelist())
    files = [path.relative_to(ROOT) for folder in ("tasks", "config") for path in (ROOT / folder).rglob("*.*")]
    wanted = {path.as_posix() for path in files if (ROOT / path).is_file() and path.suffix != ".pyc"}

    assert {f"tasks/_{name}" if name.startswith("config/") else name for name in wanted} - names == set()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"tasks", "imagechord"}


def test_a_campaign_runs_from_the_wheel_and_its_declared_dependencies(installed: Path, tmp_path: Path) -> None:
    """Catalogue, templates, font, Lua, migrations and the report's page are found, and no import is undeclared."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [str(installed / "bin" / "imagechord"), "run", "--limit", "2"]

    ran = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2/2" in ran.stdout
    assert len(list((tmp_path / "output").glob("*.jpg"))) == 2
    assert list((tmp_path / "output" / "reports").glob("*/index.html"))
