"""The providers by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.core.errors import ConfigurationError
from tasks.providers.base import Capabilities
from tasks.providers.registry import build, capabilities_of, provider_names


def test_every_name_can_be_built(tmp_path: Path) -> None:
    """Each name makes a provider that calls itself so."""
    font = {"font_file": tmp_path / "font.otf"}
    options = {"preview": font, "preview_async": font, "anycap": {"config_dir": tmp_path}}
    assert {name: build(name, **options[name]).name for name in provider_names()} == {n: n for n in options}


def test_what_a_provider_can_do_is_known_without_making_it() -> None:
    """From its class, which needs neither key nor SDK."""
    assert capabilities_of("anycap").edit
    assert capabilities_of("preview").formats == ("jpeg",)


def test_a_provider_of_ones_own_need_not_say() -> None:
    """Nothing is expected of it then; one that cannot be imported is an error."""
    assert capabilities_of("tests.waiting:wait_until") == Capabilities()
    with pytest.raises(ConfigurationError, match="cannot be imported"):
        capabilities_of("no.such:Provider")


def test_an_unknown_name_lists_the_known_ones() -> None:
    """A typing error in models.toml is answered with the names that there are."""
    with pytest.raises(ConfigurationError, match=r"'anycup' is not known.*preview, preview_async, anycap"):
        build("anycup")


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    """Neither Pillow nor requests is loaded by the registry alone."""
    probe = "import sys, tasks.providers.registry; print({'PIL', 'requests'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
