"""CMS_HOOK: a function of the shop's own in the CMS's place."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tasks.core.errors import ConfigurationError, Invalid, Overloaded, RateLimited, StepError
from tasks.core.pictures import Size
from tasks.core.published import PublishedPicture
from tasks.delivery.hook import HookCms
from tasks.health import cms
from tasks.services import Services
from tasks.settings import load_settings
from tests.stand_ins import shop_hooks

URLS = ["https://cdn.example.com/A-1.png", "https://cdn.example.com/A-1-2.png"]
HOOKS = "tests.stand_ins.shop_hooks"


def described(image_id: int, urls: Sequence[str]) -> PublishedPicture:
    """What the ledger would say of an image."""
    row = {"sku": "A-1", "name": "컵"}
    return PublishedPicture(
        "A-1", tuple(urls), f"b-{image_id}", "spring", 1, "product", "quick", "A cup.", Size(64, 64), row
    )


def write(name: str) -> str:
    """Have a hook told of the image 7."""
    return HookCms(f"{HOOKS}:{name}", described).write("A-1", URLS, 7)


def test_a_hook_is_told_what_the_ledger_knows() -> None:
    """It gets the row's public URLs and the facts of the image; without a text of its own the receipt names it."""
    shop_hooks.told.clear()
    assert write("published") == f"{HOOKS}:published was called"
    assert shop_hooks.told == [described(7, URLS)]
    assert shop_hooks.told[0].url == URLS[0]


def test_what_a_hook_returns_is_the_receipt() -> None:
    """A text that it returns is what the ledger keeps."""
    assert write("with_receipt") == "product A-1 has 2 pictures"


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("unknown", Invalid, "LookupError: there is no product A-1"),
        ("locked", Overloaded, "OperationalError: database is locked"),
        ("full", Overloaded, "No space left on device"),
        ("busy", RateLimited, "the search index takes no more"),
    ],
)
def test_what_a_hook_raises(name: str, kind: type[StepError], told: str) -> None:
    """Trouble of a database or of input and output passes, our own classes stay, all else ends the image."""
    with pytest.raises(StepError, match=told) as raised:
        write(name)
    assert type(raised.value) is kind


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("shop.catalogue", "names no function; write it like shop.catalogue:picture_published"),
        ("there.is.no:such", "ModuleNotFoundError: No module named 'there'; start workers"),
        (f"{HOOKS}:nothing", "AttributeError: .* has no attribute 'nothing'"),
        (f"{HOOKS}:NO_FUNCTION", "is no function"),
    ],
)
def test_a_hook_that_is_not_there_is_said_at_once(path: str, said: str, tmp_path: Path) -> None:
    """Making it raises ConfigurationError with the mend, and so doctor's line for the CMS is bad."""
    services = Services(load_settings({"CMS_HOOK": path}, tmp_path))
    with pytest.raises(ConfigurationError, match=said):
        _ = services.cms
    assert cms(services).status == "bad"


def test_doctor_names_the_hook(tmp_path: Path) -> None:
    """A hook that is there is ok, without being called."""
    shop_hooks.told.clear()
    health = cms(Services(load_settings({"CMS_HOOK": f"{HOOKS}:published"}, tmp_path)))
    assert (health.status, health.detail) == ("ok", f"{HOOKS}:published is called with each picture (CMS_HOOK)")
    assert shop_hooks.told == []


def test_one_way_to_publish(tmp_path: Path) -> None:
    """A CMS and a hook at once are refused by both names."""
    settings = load_settings({"CMS_HOOK": f"{HOOKS}:published", "CMS_URL": "http://127.0.0.1:9"}, tmp_path)
    with pytest.raises(ConfigurationError, match="CMS_URL and CMS_HOOK are both set"):
        _ = Services(settings).cms


def test_django_is_set_up_before_the_hook_is_imported(tmp_path: Path) -> None:
    """With DJANGO_SETTINGS_MODULE, from .env too, a hook's module may import models; the project is found here."""
    (tmp_path / ".env").write_text("DJANGO_SETTINGS_MODULE=shop_settings\nCMS_HOOK=shop_models:published\n")
    (tmp_path / "shop_settings.py").write_text("INSTALLED_APPS = ['django.contrib.contenttypes']\n")
    (tmp_path / "shop_models.py").write_text(
        "from django.contrib.contenttypes.models import ContentType\n\ndef published(picture): ...\n"
    )
    script = "from tasks.services import current_services; print(current_services().cms.check().status)"
    environment = {"PYTHONPATH": str(Path(__file__).parents[3])}
    ran = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout == "ok\n", ran.stderr
