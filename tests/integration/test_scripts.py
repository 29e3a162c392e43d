"""What a newcomer meets when ./scripts/run cannot do its work, and what it leaves alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "cksum", "dirname", "tail", "tee")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in a folder with a space in its name, and a machine with a few tools and no Python."""
    folder = tmp_path / "a clone"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for tool in TOOLS:
        (bin_folder / tool).symlink_to(shutil.which(tool) or tool)
    return folder


def executable(path: Path, script: str) -> None:
    """Write a shell script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
    path.chmod(0o755)


def run(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ./scripts/run from somewhere else, with the clone's own machine around it."""
    command = [str(clone.parent / "bin" / "bash"), str(clone / "scripts" / "run"), *arguments]
    environment = {"PATH": str(clone.parent / "bin")}
    return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=30, check=False)


def test_no_recent_python_is_said_with_the_mend(clone: Path) -> None:
    """A Python that is too old is as good as none; exit code 2 means that nothing was started."""
    executable(clone.parent / "bin" / "python3", 'case "$2" in *"3, 11"*) exit 1;; esac')

    ran = run(clone)

    assert ran.returncode == 2
    assert "Python 3.11 or newer" in ran.stderr
    assert "PYTHON=" in ran.stderr


def test_a_python_without_venv_is_said_with_the_mend(clone: Path) -> None:
    """Debian's Python lacks the module until its package is installed."""
    executable(clone.parent / "bin" / "python3", 'case "$2" in *ensurepip*) exit 1;; esac')

    ran = run(clone)

    assert ran.returncode == 2
    assert "apt-get install python3-venv" in ran.stderr


def test_somebody_elses_environment_is_not_replaced(clone: Path) -> None:
    """A .venv that we did not make and cannot use is named, not deleted."""
    (clone / ".venv").mkdir()
    (clone / ".venv" / "precious").touch()

    ran = run(clone)

    assert ran.returncode == 2
    assert "rm -r .venv" in ran.stderr
    assert (clone / ".venv" / "precious").exists()


def test_arguments_reach_imagechord_as_they_are(clone: Path) -> None:
    """With an environment linked in, nothing is installed and `imagechord run` gets every argument whole."""
    elsewhere = clone.parent / "elsewhere"
    executable(elsewhere / "bin" / "imagechord", 'printf "<%s>" "$@"')
    (clone / ".venv").symlink_to(elsewhere)

    ran = run(clone, "my products.csv", "--name", "가을 *")

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "<run><my products.csv><--name><가을 *>", "")


def test_a_failed_installation_shows_its_reason_and_is_tried_again(clone: Path) -> None:
    """The end of pip's own words is shown, and the environment does not count as installed."""
    python = clone.parent / "bin" / "python3"
    make = 'if [[ $2 == venv ]]; then mkdir -p .venv/bin; ln -sf "$0" .venv/bin/python; exit 0; fi'
    (clone.parent / "bin" / "mkdir").symlink_to(shutil.which("mkdir") or "mkdir")
    (clone.parent / "bin" / "ln").symlink_to(shutil.which("ln") or "ln")
    executable(python, make + '\nif [[ $2 == pip ]]; then echo "no matching distribution"; exit 1; fi')

    for ran in (run(clone), run(clone)):
        assert ran.returncode == 2
        assert "no matching distribution" in ran.stderr
        assert "setup.log" in ran.stderr
