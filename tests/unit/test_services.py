from __future__ import annotations

from pathlib import Path

from tasks.core.redaction import redacted
from tasks.services import Services
from tasks.settings import load_settings
from tasks.storage.s3 import S3Public


def test_s3_credentials_of_the_dotenv_file_reach_boto3(tmp_path: Path) -> None:
    """boto3 does not read ``.env``: what stands there is handed to it, and the region with it."""
    (tmp_path / ".env").write_text(
        "S3_BUCKET=shop\nAWS_ACCESS_KEY_ID=AKIDFROMFILE\nAWS_SECRET_ACCESS_KEY=s3cret\nAWS_REGION=ap-northeast-2\n",
        "utf-8",
    )
    public = Services(load_settings({}, tmp_path)).public
    assert isinstance(public, S3Public)
    client = public.client_factory()
    signed = client.generate_presigned_url("get_object", Params={"Bucket": "shop", "Key": "a"})
    assert "AKIDFROMFILE" in signed
    assert public.url("a.png") == "https://shop.s3.ap-northeast-2.amazonaws.com/a.png"
    assert "s3cret" not in repr(public.client_factory.connection)  # type: ignore[attr-defined]


def test_names_that_are_overwritten_are_not_immutable(tmp_path: Path) -> None:
    """With the article's ``{sku}.png`` a new picture takes the old one's name, so caches must ask again."""
    (tmp_path / "imagechord.toml").write_text('key_pattern = "{sku}.png"\n', "utf-8")
    for config, expected in (({"IMAGECHORD_CONFIG": "."}, False), ({}, True)):
        services = Services(load_settings({"S3_BUCKET": "shop", "AWS_REGION": "eu-west-1", **config}, tmp_path))
        public = services.public
        assert isinstance(public, S3Public)
        assert public.cache_control.startswith("public, max-age=31536000")
        assert ("immutable" in public.cache_control) is expected


def test_a_key_of_the_users_own_server_is_concealed(tmp_path: Path) -> None:
    """Its variable is in no list of secrets: it becomes one where a model of the catalogue names it."""
    (tmp_path / "models.toml").write_text(
        '[models.ours]\nprovider = "openai_compatible"\nmodel = "m"\n'
        'endpoint = { base_url = "http://127.0.0.1:9/v1", key_variable = "OUR_KEY" }\n',
        "utf-8",
    )
    settings = load_settings({"IMAGECHORD_CONFIG": ".", "OUR_KEY": "a-key-of-ours"}, tmp_path)
    assert "OUR_KEY is set" in Services(settings).provider("openai_compatible").check().detail
    assert "a-key-of-ours" not in redacted("the server echoes a-key-of-ours")


def test_googles_key_reaches_its_provider(tmp_path: Path) -> None:
    """As the SDK's own variable, read where all settings are read."""
    assert Services(load_settings({"GEMINI_API_KEY": "k"}, tmp_path)).provider("gemini").check().status == "ok"
    assert Services(load_settings({}, tmp_path)).provider("gemini").check().mend == "set GEMINI_API_KEY"
