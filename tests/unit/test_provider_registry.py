"""The providers by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import ConfigurationError
from tasks.providers.base import Capabilities
from tasks.providers.registry import build, capabilities_of, provider_names


def test_every_name_can_be_built(tmp_path: Path) -> None:
    """Each name makes a provider that calls itself so."""
    font = {"font_file": tmp_path / "font.otf"}
    options: dict[str, dict[str, Any]] = {
        "preview": font,
        "preview_async": font,
        "anycap": {"config_dir": tmp_path},
        "openai_compatible": {"keys": {}},
        "gemini": {},
        "fal": {"api_key": "k"},
        "replicate": {"api_token": "t"},
    }
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


@pytest.mark.parametrize("module", ["openai_compatible", "fal", "replicate"])
def test_an_sdk_is_imported_when_it_is_used(module: str) -> None:
    """A module that uses one can be imported without it, which is also quicker."""
    sdks = {"openai", "httpx2", "httpx", "cryptography", "replicate"}
    probe = f"import sys, tasks.providers.{module}; print({sdks} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


WITHOUT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from tasks.core.errors import ImagechordError
from tasks.core.pictures import Size
from tasks.providers.base import GenerationRequest
from tasks.providers.registry import build

sys.modules[sys.argv[1]] = None
request = GenerationRequest("r", "a/b", "a mug", Size(64, 64), {}, 5.0, Path())
try:
    build("replicate", api_token="t").submit(request, None)
except ImagechordError as error:
    print(type(error).__name__, error)
"""


def test_a_missing_sdk_is_said_with_its_mend() -> None:
    """Whoever names a provider in models.toml without its extra reads which one to install."""
    run = subprocess.run([sys.executable, "-c", WITHOUT, "replicate"], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("Account the replicate SDK cannot be imported")
    assert "pip install 'imagechord[replicate]'" in run.stdout
