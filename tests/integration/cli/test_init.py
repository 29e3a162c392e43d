"""``imagechord init``: a folder to begin in, and nothing of yours lost."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tasks.core.callbacks import require_usable
from tasks.core.standard_webhooks import sign
from tasks.settings import CONFIG_FILES, VARIABLES, load_settings
from tests.integration.cli.shop import Shop

SETTING = re.compile(r"^#(?=\S)", re.MULTILINE)
"""What is commented out to be used later; prose has a space behind its #."""


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, as init leaves it."""
    folder = tmp_path_factory.mktemp("begun")
    temporary = tmp_path_factory.mktemp("tmp")
    ran = Shop(folder, temporary).call("init")
    assert ran.returncode == 0, ran.stderr
    return folder


def test_dotenv_has_every_variable_and_sets_none_but_secrets(begun: Path) -> None:
    """A variable that is added has to be explained there; what is made up can be used as it is."""
    text = (begun / ".env").read_text("utf-8")
    assert sorted(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE)) == sorted(VARIABLES)
    settings = load_settings({}, begun)
    assert set(settings.values) == {"WEBHOOK_SECRET", "IMAGECHORD_WEB_TOKEN"}
    secret = settings.values["WEBHOOK_SECRET"]
    require_usable("https://shop.example", secret)
    assert sign(secret, "evt_0", 0, b"")
    assert len(settings.values["IMAGECHORD_WEB_TOKEN"]) >= 32


def test_nobody_else_can_read_the_secrets(begun: Path) -> None:
    """Not even for a moment; and no repository gets them."""
    assert (begun / ".env").stat().st_mode & 0o777 == 0o600
    assert ".env" in (begun / ".gitignore").read_text("utf-8").splitlines()


def test_the_overlay_changes_nothing_until_it_is_uncommented(begun: Path) -> None:
    """And then each example is one that the program takes."""
    as_shipped, overlaid = load_settings({}, begun / "config"), load_settings({}, begun)
    assert overlaid.config_overlay == begun / "config"
    assert overlaid.catalogue == as_shipped.catalogue
    assert overlaid.preferences == as_shipped.preferences

    for name in CONFIG_FILES:
        path = begun / "config" / name
        path.write_text(SETTING.sub("", path.read_text("utf-8")), "utf-8")
    used = load_settings({"CMS_PRESET": "our-shop"}, begun)
    assert used.catalogue.default_model == "nano-banana-2.1"
    assert {"our-flux"} <= set(used.catalogue.models)
    assert {"our_product"} <= set(used.catalogue.templates)
    assert used.preferences.max_attempts == 2
    assert used.cms_preset.path == "/api/v2/products/{sku}"


def test_its_sample_is_good_for_the_command_that_it_names(shop: Shop) -> None:
    """Three rows that can be planned as they are."""
    told = shop.call("init", "shop").stderr
    assert "Next: cd shop; imagechord run products.csv --template product_hero --model preview" in told
    shop.environment["IMAGECHORD_CONFIG"] = "shop/config"
    planned = shop.json("plan", "shop/products.csv", "--template", "product_hero", "--model", "preview")
    assert (planned["images"], planned["bad_rows"]) == (3, 0)


def test_what_is_there_is_left_alone_and_named(shop: Shop) -> None:
    """Also a second time; .gitignore gets only the lines that it lacks."""
    shop.write(".env", "CMS_TOKEN=mine\n")
    shop.write(".gitignore", "node_modules\n.env")

    told = shop.json("init")

    assert told["left_alone"] == [".env"]
    assert (shop.folder / ".env").read_text() == "CMS_TOKEN=mine\n"
    assert (shop.folder / ".gitignore").read_text() == "node_modules\n.env\n.imagechord/\noutput/\n"
    assert shop.json("init")["written"] == []


def test_force_is_for_one_file(shop: Shop) -> None:
    """It is written anew with its own permissions, and no other is; a name that init does not write is refused."""
    shop.write(".env", "CMS_TOKEN=mine\n").chmod(0o644)
    shop.write("products.csv", "sku,name\n")

    told = json.loads(shop.call("init", "--force", ".env", "--json").stdout)

    assert ".env" in told["written"]
    assert "mine" not in (shop.folder / ".env").read_text("utf-8")
    assert (shop.folder / ".env").stat().st_mode & 0o777 == 0o600
    assert (shop.folder / "products.csv").read_text() == "sku,name\n"
    refused = shop.call("init", "--force", "everything")
    assert (refused.returncode, "init does not write that" in refused.stderr) == (2, True)
