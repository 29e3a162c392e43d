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
from tests.stand_ins.django_host import set_up

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


def test_django_is_set_up_and_its_connections_are_looked_after(tmp_path: Path) -> None:
    """DJANGO_SETTINGS_MODULE, from .env too: a hook may import models, and a call leaves no connection open."""
    (tmp_path / ".env").write_text("DJANGO_SETTINGS_MODULE=shop_settings\nCMS_HOOK=shop_models:published\n")
    (tmp_path / "shop_settings.py").write_text(
        "INSTALLED_APPS = ['django.contrib.contenttypes']\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'shop.sqlite3'}}\n"
    )
    (tmp_path / "shop_models.py").write_text(
        "from django.contrib.contenttypes.models import ContentType\nfrom django.db import connection\n\n"
        "def published(picture):\n    connection.ensure_connection()\n    return 'connected'\n"
    )
    script = (
        "from tasks.delivery.hook import HookCms; from tasks.settings import load_settings; get = load_settings().get; "
        "cms = HookCms(get('CMS_HOOK'), lambda *_: None, django_settings=get('DJANGO_SETTINGS_MODULE')); "
        "print(cms.write('A-1', ['https://cdn.example.com/1.png'], 1)); "
        "from django.db import connection; print(connection.connection)"
    )
    ran = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout == "connected\nNone\n", ran.stderr


def test_django_signal_is_a_hook() -> None:
    """Receivers of image_published are told; what one raises counts, and that nobody listens is not a success."""
    set_up()
    from tasks.web.django.signals import image_published

    cms = HookCms("tasks.web.django.hooks:send_signal", described)
    with pytest.raises(Invalid, match="nobody receives image_published"):
        cms.write("A-1", URLS, 7)

    shown = list[str]()

    def show(sender: object, picture: PublishedPicture, **_more: object) -> None:
        if picture.url in shown:
            raise ValueError("shown already")
        shown.append(picture.url)

    image_published.connect(show)
    try:
        assert cms.write("A-1", URLS, 7).startswith("received by test_django_signal")
        with pytest.raises(Invalid, match="ValueError: shown already"):
            cms.write("A-1", URLS, 7)
    finally:
        image_published.disconnect(show)
    assert shown == URLS[:1]
