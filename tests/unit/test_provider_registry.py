"""The providers by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import ConfigurationError
from tasks.providers.registry import build, provider_names


def test_every_name_can_be_built(tmp_path: Path) -> None:
    """Each name makes a provider that calls itself so."""
    font = {"font_file": tmp_path / "font.otf"}
    options: dict[str, dict[str, Any]] = {
        "preview": font,
        "preview_async": font,
        "anycap": {"config_dir": tmp_path},
        "openai_compatible": {"keys": {}},
    }
    assert {name: build(name, **options[name]).name for name in provider_names()} == {n: n for n in options}


def test_an_unknown_name_lists_the_known_ones() -> None:
    """A typing error in models.toml is answered with the names that there are."""
    with pytest.raises(ConfigurationError, match=r"'anycup' is not known.*preview, preview_async, anycap"):
        build("anycup")


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    """Neither Pillow nor requests is loaded by the registry alone."""
    probe = "import sys, tasks.providers.registry; print({'PIL', 'requests'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_an_sdk_is_imported_when_it_is_used() -> None:
    """A module that uses one can be imported without it, which is also quicker."""
    probe = "import sys, tasks.providers.openai_compatible; print({'openai', 'httpx2', 'httpx'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
