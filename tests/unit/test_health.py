"""What doctor says of providers, and of what a batch's webhook is signed with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.health import check_all
from tasks.services import Services
from tasks.settings import load_settings

OWN_SERVER = """
[models.ours]
provider = "openai_compatible"
model = "qwen-image"
endpoint = { base_url = "http://127.0.0.1:9/v1", key_variable = "%s" }
"""


@pytest.mark.parametrize(
    ("environment", "own_key", "status"),
    [
        ({}, None, "off"),
        ({"OPENAI_API_KEY": "sk-test"}, None, "ok"),
        ({"ARK_API_KEY": "ark-test"}, None, "ok"),
        ({}, "OUR_KEY", "off"),
        ({"OUR_KEY": "ours"}, "OUR_KEY", "ok"),
        ({}, "", "ok"),
    ],
)
def test_a_provider_that_nobody_has_set_up_is_off(
    tmp_path: Path, environment: dict[str, str], own_key: str | None, status: str
) -> None:
    """A key of any of its endpoints sets it up, as does a server that wants none."""
    if own_key is not None:
        (tmp_path / "config").mkdir()
        (tmp_path / "config/models.toml").write_text(OWN_SERVER % own_key, "utf-8")
    services = Services(load_settings(environment, tmp_path))
    [found] = [one for one in check_all(services) if one.component == "openai_compatible"]
    assert found.status == status


@pytest.mark.parametrize(
    ("secret", "status", "says"),
    [
        ("", "off", "run --webhook is refused"),
        ("whsec_!!!", "bad", "in no base64; copy it again"),
        ("whsec_c2VjcmV0LW9mLXRoZS1zaG9w", "ok", "tells signed events"),
    ],
)
def test_doctor_says_whether_webhooks_could_be_signed(tmp_path: Path, secret: str, status: str, says: str) -> None:
    """Before a batch is refused for it, and without the secret itself."""
    services = Services(load_settings({"WEBHOOK_SECRET": secret}, tmp_path))
    [found] = [one for one in check_all(services) if one.component == "signing"]
    assert found.status == status
    assert says in found.detail
    assert not secret or secret not in found.detail + found.mend
