"""A site whose ledger is a notebook, behind each server in turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tasks.services import Services
from tasks.settings import load_settings
from tasks.web.site import Site
from tests.contract.web.servers import SERVERS, Books, Client, listening

SECRET = "a-secret-of-the-shop's-own"
TOKEN = "the-token-of-this-site"


@pytest.fixture(scope="session")
def books() -> Books:
    """What was called; :func:`client` clears it."""
    return Books()


@pytest.fixture(scope="session")
def site(books: Books, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """With its secrets, and without ledger and broker."""
    services = Services(
        load_settings({"WEBHOOK_SECRET": SECRET, "IMAGECHORD_WEB_TOKEN": TOKEN}, tmp_path_factory.mktemp("site"))
    )
    return Site(books.called, lambda: services)


@pytest.fixture(scope="session")
def servers(site: Site) -> Iterator[dict[str, str]]:
    """Each server's URL."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(listening(make(site))) for name, make in SERVERS.items()}


@pytest.fixture(params=sorted(SERVERS))
def client(request: pytest.FixtureRequest, servers: dict[str, str], site: Site, books: Books) -> Client:
    """A caller of each server in turn, with empty books."""
    books.clear()
    return Client(servers[request.param], site, books, SECRET)
