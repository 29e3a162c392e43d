"""The presets that ship."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from tasks.core.cms_preset import CmsPreset, parse_presets

Presets = Mapping[str, CmsPreset]


@pytest.fixture(scope="session")
def presets() -> Presets:
    """``config/cms.toml`` as it ships."""
    return parse_presets(tomllib.loads((Path(__file__).parents[3] / "config" / "cms.toml").read_text()))
