from __future__ import annotations

from pathlib import Path

import pytest

from tasks.core.errors import ConfigurationError
from tasks.settings import load_settings, shipped_config


def test_the_environment_wins_over_the_dotenv_file(tmp_path: Path) -> None:
    """A value of ``.env`` holds until the environment has one; ``sources`` says which it was."""
    (tmp_path / ".env").write_text("CMS_URL=http://file\nCMS_TOKEN=from-file\n", "utf-8")
    settings = load_settings({"CMS_URL": "http://environment"}, tmp_path)
    assert (settings.get("CMS_URL"), settings.get("CMS_TOKEN")) == ("http://environment", "from-file")
    assert (settings.sources["CMS_URL"], settings.sources["CMS_TOKEN"]) == ("environment", ".env")


def test_an_empty_value_counts_as_unset(tmp_path: Path) -> None:
    """``S3_BUCKET=`` in a compose file means no bucket."""
    assert load_settings({"S3_BUCKET": ""}, tmp_path).get("S3_BUCKET") is None


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    """NAME_FILE names it, from the environment or ``.env``; the end of its line is no part of the secret."""
    (tmp_path / "key").write_text("ak_1 2\n", "utf-8")
    (tmp_path / "slack").write_text("https://hooks.example.com/T/B", "utf-8")
    (tmp_path / ".env").write_text("SLACK_WEBHOOK_URL_FILE=slack\n", "utf-8")
    settings = load_settings({"ANYCAP_API_KEY_FILE": str(tmp_path / "key"), "ANYCAP_API_KEY": ""}, tmp_path)
    assert settings.get("ANYCAP_API_KEY") == "ak_1 2"
    assert settings.get("SLACK_WEBHOOK_URL") == "https://hooks.example.com/T/B"
    assert settings.sources["ANYCAP_API_KEY"] == str(tmp_path / "key")
    assert {"ak_1 2", "/T/B"} <= settings.secrets


@pytest.mark.parametrize(
    ("content", "environ", "words"),
    [
        (None, {}, r"ANYCAP_API_KEY_FILE='.*/key' cannot be read: No such file or directory"),
        (b"\xff\xfe", {}, r"ANYCAP_API_KEY_FILE='.*/key' cannot be read: it is not text"),
        (b" \n", {}, r"ANYCAP_API_KEY_FILE='.*/key' is empty; write the secret into it, or unset ANYCAP_API_KEY_FILE"),
        (b"ak_1", {"ANYCAP_API_KEY": "ak_2"}, r"ANYCAP_API_KEY and ANYCAP_API_KEY_FILE are both set"),
    ],
)
def test_a_file_without_a_secret_is_an_error(
    tmp_path: Path, content: bytes | None, environ: dict[str, str], words: str
) -> None:
    """A key that is silently missing would show as a refusal of the provider, hours later."""
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigurationError, match=words) as raised:
        load_settings({"ANYCAP_API_KEY_FILE": "key", **environ}, tmp_path)
    assert "ak_" not in str(raised.value)


def test_a_folder_in_a_secrets_place_is_an_error(tmp_path: Path) -> None:
    """A folder in the place of a file is what Docker makes of a bind mount whose source is not there."""
    (tmp_path / "key").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load_settings({"ANYCAP_API_KEY_FILE": "key"}, tmp_path)


def test_variables_that_hold_no_secret_are_not_read_from_files(tmp_path: Path) -> None:
    """AWS has variables of its own that end in _FILE."""
    settings = load_settings({"AWS_WEB_IDENTITY_TOKEN_FILE": "nowhere", "S3_BUCKET_FILE": "nowhere"}, tmp_path)
    assert settings.get("S3_BUCKET") is None


def test_nothing_set_means_folders_beside_the_caller(tmp_path: Path) -> None:
    """State, staging, ledger and output lie under the working folder; no broker is assumed."""
    settings = load_settings({}, tmp_path)
    assert settings.home == tmp_path / ".imagechord"
    assert settings.output == tmp_path / "output"
    assert settings.database_url == f"sqlite:///{tmp_path / '.imagechord' / 'ledger.sqlite3'}"
    assert settings.staging_url == (tmp_path / ".imagechord" / "staging").as_uri()
    assert settings.redis_url is None


def test_our_own_redis_variable_wins_over_the_shops(tmp_path: Path) -> None:
    """REDIS_URL is often the shop's cache; IMAGECHORD_REDIS_URL is ours."""
    both = {"REDIS_URL": "redis://cache", "IMAGECHORD_REDIS_URL": "redis://ours"}
    assert load_settings(both, tmp_path).redis_url == "redis://ours"
    assert load_settings({"REDIS_URL": "redis://cache"}, tmp_path).redis_url == "redis://cache"


def test_an_overlay_changes_single_keys_of_the_shipped_files(tmp_path: Path) -> None:
    """A shop overrides one limit and adds one model; everything else stays as shipped."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "models.toml").write_text(
        '[models.nano-banana-2.limits]\nper_minute = 7\n[models.mine]\nprovider = "preview"\nmodel = "mine"\n', "utf-8"
    )
    models = load_settings({}, tmp_path).catalogue.models
    shipped = load_settings({}, tmp_path / "elsewhere").catalogue.models
    assert models["nano-banana-2"].limits.per_minute == 7
    assert models["nano-banana-2"].model == shipped["nano-banana-2"].model
    assert set(models) == {*shipped, "mine"}


def test_a_config_folder_of_the_host_project_is_left_alone(tmp_path: Path) -> None:
    """Django projects often own a package called ``config``: without a TOML file of ours it is not read."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.py").write_text("raise SystemExit", "utf-8")
    assert load_settings({}, tmp_path).config_overlay is None


def test_a_config_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A typo in IMAGECHORD_CONFIG must not silently mean the shipped prices."""
    with pytest.raises(ConfigurationError, match="IMAGECHORD_CONFIG='nowhere' is not a folder"):
        _ = load_settings({"IMAGECHORD_CONFIG": "nowhere"}, tmp_path).catalogue


def test_broken_toml_is_reported_with_its_file(tmp_path: Path) -> None:
    """The message names the file and the place."""
    (tmp_path / "models.toml").write_text("[models\n", "utf-8")
    with pytest.raises(
        ConfigurationError, match=r"models\.toml is not valid TOML: .*line 1.*; compare it with .*models\.toml"
    ):
        _ = load_settings({"IMAGECHORD_CONFIG": str(tmp_path)}, tmp_path).catalogue


def test_an_unknown_cms_preset_lists_those_there_are(tmp_path: Path) -> None:
    """CMS_PRESET is checked against ``cms.toml``."""
    with pytest.raises(ConfigurationError, match=r"CMS_PRESET='drupal' is not in cms\.toml; there are: .*generic"):
        _ = load_settings({"CMS_PRESET": "drupal"}, tmp_path).cms_preset


def test_the_shipped_configuration_is_found() -> None:
    """In a checkout it is the folder beside the package."""
    assert (shipped_config() / "models.toml").is_file()


def test_providers_call_only_where_calls_can_be_signed(tmp_path: Path) -> None:
    """Without WEBHOOK_BASE_URL they are asked; with it, a secret has to be there too."""
    base_url = {"WEBHOOK_BASE_URL": "https://shop.example"}
    assert load_settings({"WEBHOOK_SECRET": "for outgoing ones"}, tmp_path).webhook_base_url is None
    assert load_settings(base_url | {"WEBHOOK_SECRET": "s" * 32}, tmp_path).webhook_base_url == "https://shop.example"
    with pytest.raises(ConfigurationError, match="WEBHOOK_SECRET"):
        _ = load_settings(base_url, tmp_path).webhook_base_url
