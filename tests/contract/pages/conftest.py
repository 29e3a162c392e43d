"""A shop's ledger, and somebody who looks at its pages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import pytest

from tasks.services import Services
from tasks.settings import SECRETS, load_settings
from tasks.web.http import Request, Response
from tasks.web.pages import PAGES
from tasks.web.routes import answer
from tasks.web.site import Site
from tests.contract.ledger.scene import Scene

BASE = "/shop/imagechord"
SECRET = "hush-hush-"
SECRETS_SET = {name: f"https://{SECRET}{name}.example/" for name in SECRETS if "DATABASE" not in name}


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of one that nobody has used yet."""
    home = tmp_path_factory.mktemp("empty")
    with closing(Services(load_settings({"IMAGECHORD_HOME": str(home)}, home)).ledger):
        return home / "ledger.sqlite3"


@pytest.fixture
def services(tmp_path: Path, empty_ledger: Path) -> Iterator[Services]:
    """An installation with every secret set, and no broker that answers."""
    (tmp_path / "home").mkdir()
    shutil.copy(empty_ledger, tmp_path / "home")
    urls = {"IMAGECHORD_REDIS_URL": f"redis://:{SECRET}@127.0.0.1:1/0", "REDIS_URL": ""}
    folders = {"IMAGECHORD_HOME": str(tmp_path / "home"), "IMAGECHORD_OUTPUT": str(tmp_path / "output")}
    made = Services(load_settings(SECRETS_SET | urls | folders, tmp_path))
    with closing(made.ledger):
        yield made


@pytest.fixture
def scene(services: Services) -> Scene:
    """The ledger with one living worker."""
    return Scene(services.ledger)


@dataclass(frozen=True)
class Seen:
    """An answer, as far as people see it."""

    response: Response

    @property
    def status(self) -> int:
        """Of HTTP."""
        return self.response.status

    @property
    def html(self) -> str:
        """As it was sent."""
        return self.response.body.decode()

    @property
    def text(self) -> str:
        """What is between the tags, a blank between words."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.html)).split())

    @property
    def links(self) -> list[str]:
        """Where one can go."""
        return [unescape(href) for href in re.findall(r'<a [^>]*href="([^"]*)"', self.html)]

    @property
    def onward(self) -> str | None:
        """The next page."""
        found = re.search(r'rel="next" href="([^"]*)"', self.html)
        return unescape(found[1]) if found else None


@dataclass(frozen=True)
class Visitor:
    """Somebody who reads English, unless they say otherwise."""

    site: Site

    def get(self, address: str, **headers: str) -> Seen:
        """Look at a page, by its path or as a page links to it."""
        path, _, query = address.removeprefix(BASE).partition("#")[0].partition("?")
        spoken = {name.replace("_", "-"): value for name, value in {"accept_language": "en", **headers}.items()}
        request = Request("GET", spoken, lambda _most_bytes: b"", path, query, BASE, {"csrf": 'the "host\'s"'})
        return Seen(answer(self.site, request, PAGES))


@pytest.fixture
def visitor(services: Services) -> Visitor:
    """Looks at the pages of the shop's ledger."""
    return Visitor(Site(lambda *_call: True, lambda: services))
