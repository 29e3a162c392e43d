"""The sheet's script, run by a real browser under the page's own security policy."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tasks.core.states import State
from tasks.report.contact_sheet import write_contact_sheet
from tests.stand_ins.chromium import chromium
from tests.unit.report.factories import image, summary, thumbnail


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    """A sheet of four published pictures and a failure."""
    images = [image(2, State.FAILED), *(image(line, thumbnail=thumbnail()) for line in range(3, 7))]
    path = tmp_path / "index.html"
    write_contact_sheet(path, summary(images), images, [], language="en", timezone="Asia/Seoul")
    return path


def shown_keys(page: str, profile: Path) -> tuple[list[str], str]:
    """The keys of the visible cards, and the line that says how many there are, after the script has run."""
    command = [chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]
    command += ["--disable-background-networking", f"--user-data-dir={profile}", "--dump-dom", page]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    cards = re.findall(r'<article [^>]*data-key="([^"]*)"([^>]*)>', ran.stdout)
    status = re.search(r'role="status"[^>]*>([^<]*)<', ran.stdout)
    assert status
    return [key for key, rest in cards if "hidden" not in rest], status[1]


@pytest.mark.parametrize(
    ("view", "keys", "status"),
    [
        ("", ["kr-2", "kr-3", "kr-4", "kr-5", "kr-6"], ""),
        ("#state=failed", ["kr-2"], "1 of 5 shown"),
        ("#sku=KR-4", ["kr-4"], "1 of 5 shown"),
        ("#state=published&sku=kr-2", [], "0 of 5 shown"),
        ("#state=nonsense", ["kr-2", "kr-3", "kr-4", "kr-5", "kr-6"], ""),
    ],
)
def test_a_link_may_carry_state_and_search(sheet: Path, view: str, keys: list[str], status: str) -> None:
    """The script runs under the page's policy and shows exactly the asked cards."""
    assert shown_keys(sheet.as_uri() + view, sheet.parent / "profile") == (keys, status)
