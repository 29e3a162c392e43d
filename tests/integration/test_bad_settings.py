"""A slip in the settings, as whoever starts Celery's own programs is told of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.programs import CELERY, ROOT

NO_BROKER = "no broker: set IMAGECHORD_REDIS_URL or REDIS_URL"
SLIP = "models.toml: [models.preview]: prize_usd is not a setting; did you mean price_usd?"


def started(folder: Path, *program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A program that is to end by itself."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("program", ["worker", "flower"])
def test_a_missing_broker_is_one_line(tmp_path: Path, program: str) -> None:
    """What is missing and the mend, exit code 2, and no traceback."""
    ran = started(tmp_path, *CELERY, "-A", "tasks", program)

    assert ran.returncode == 2
    assert ran.stderr.startswith(f"Error: {NO_BROKER}")
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stdout == ""


def test_a_slip_in_the_catalogue_is_one_line(tmp_path: Path) -> None:
    """File, table, setting and the nearest one."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "models.toml").write_text("[models.preview]\nprize_usd = 1\n")

    ran = started(tmp_path, *CELERY, "-A", "tasks", "beat", REDIS_URL="redis://127.0.0.1:1/0")

    assert (ran.returncode, ran.stderr) == (2, f"Error: {SLIP}\n")


def test_a_host_project_gets_the_error_itself(tmp_path: Path) -> None:
    """Python code that reaches for the app's settings catches what it always has, and no program ends under it."""
    code = (
        "from tasks.celery import app\n"
        "from tasks.core.errors import ConfigurationError\n"
        "try:\n    app.conf.broker_url\n"
        "except ConfigurationError as error:\n    print(error)\n"
    )
    ran = started(tmp_path, sys.executable, "-c", code)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(NO_BROKER)
