from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import ConfigurationError
from tasks.core.preferences import Preferences, parse_preferences

FILE = Path(__file__).parents[3] / "config" / "imagechord.toml"


def test_the_shipped_file_says_the_defaults() -> None:
    """Reading the file changes nothing, so that a deleted line changes nothing either."""
    assert parse_preferences(tomllib.loads(FILE.read_text(encoding="utf-8"))) == Preferences()


def test_the_shipped_file_names_every_setting() -> None:
    """A setting that people cannot find does not exist for them; optional ones stand as comments."""
    named = set(re.findall(r"^(?:# )?(\w+) = ", FILE.read_text(encoding="utf-8"), re.MULTILINE))
    manual = type(Preferences().manual_design)
    assert named == set(Preferences.model_fields) - {"manual_design"} | set(manual.model_fields)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"max_attemps": 3}, "imagechord.toml: max_attemps is not a setting; did you mean max_attempts?"),
        ({"max_attempts": 0}, "imagechord.toml: max_attempts = 0: input should be greater than or equal to 1"),
        ({"language": "fr"}, "imagechord.toml: language = 'fr': input should be 'ko' or 'en'"),
        ({"timezone": "Seoul"}, "timezone = 'Seoul': there is no time zone 'Seoul'; write it like Asia/Seoul"),
        ({"timezone": "../etc"}, "there is no time zone '../etc'"),
        ({"timezone": ""}, "there is no time zone ''"),
        ({"key_pattern": "x.png"}, "gives every picture the same key; add {sku}"),
        ({"wave_min_images": 501}, "imagechord.toml: wave_min_images is more than wave_max_images"),
        ({"heartbeat_expires_seconds": 9}, "heartbeat_expires_seconds must be at least twice heartbeat_every_seconds"),
        ({"delivery_pause_seconds": 90}, "delivery_longest_pause_seconds is less than delivery_pause_seconds"),
        ({"manual_design": {"usd_per_image_low": -1}}, "manual_design.usd_per_image_low = -1: input should be"),
    ],
)
def test_wrong_settings_are_refused_with_their_mend(table: dict[str, Any], says: str) -> None:
    """The message names file, key and value."""
    with pytest.raises(ConfigurationError) as refused:
        parse_preferences(table)
    assert says in str(refused.value)


def test_findings_come_together() -> None:
    """Two mistakes, two lines."""
    with pytest.raises(ConfigurationError) as refused:
        parse_preferences({"language": "fr", "max_attempts": 0})
    assert len(str(refused.value).splitlines()) == 2
