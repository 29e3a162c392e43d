"""The browser that pages are tried in."""

from __future__ import annotations

import shutil

from tests.stand_ins.missing import missing_service


def chromium() -> str:
    """Where Chromium is; missing, it skips on a laptop and fails in CI."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for path in map(shutil.which, names) if path), None)
    if found is None:
        missing_service("needs Chromium (Debian: apt-get install chromium)")
    return found
