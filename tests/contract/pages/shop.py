"""A shop whose pages are served by a process of their own, and a browser to look at them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

import tasks
from tasks import submission
from tasks.core.pictures import StagedPicture
from tasks.core.request import Request
from tasks.devstack.death import die_with_parent
from tasks.devstack.valkey import EmbeddedValkey
from tasks.ledger import settling
from tasks.ledger.schema import metadata
from tasks.ledger.settling import Bought
from tasks.services import Services
from tasks.settings import load_settings
from tests.contract.ledger.scene import MODEL, PRICE, Scene
from tests.stand_ins.chromium import chromium
from tests.unit.report.factories import thumbnail

_HURRIED_MILLISECONDS = 20_000


class Shop:
    """``url`` is where its pages are mounted. Its workers are played by ``scene``."""

    def __init__(self, url: str, services: Services) -> None:
        self.url = url
        self._services = services
        self.clear()

    def clear(self) -> None:
        """Begin anew, with an empty ledger."""
        with self._services.ledger.write() as connection:
            for table in reversed(metadata.sorted_tables):
                if table.name != "imagechord_ledger":
                    connection.execute(table.delete())
        self.scene = Scene(self._services.ledger)

    def submit(self, *names: str) -> str:
        """A batch as a person's file makes it, with these products in it, which are their own keys."""
        rows = [{"sku": name, "name": name, "color": "white"} for name in names]
        request = Request(rows, "product_hero", model=MODEL)
        return submission.submit(self._services, request).batch_id

    def batch(self, batch_id: str) -> str:
        """The address of a batch's page."""
        return f"{self.url}/batches/{batch_id}"

    def publish(self, batch_id: str, images: int = 1) -> None:
        """Let so many pictures of a batch be made and published, each with a real thumbnail."""
        for dispatch in self.scene.release(batch_id, window=images):
            claim = self.scene.claim(dispatch.ticket)
            staged = StagedPicture(f"staged/{claim.fingerprint}.png", "image/png", 1234, "a" * 64)
            settling.settle_generated(self.scene.ledger, claim, Bought(staged, "png", thumbnail("JPEG"), PRICE, None))
            self.scene.upload(dispatch.ticket)
            self.scene.publish_uploaded(dispatch.ticket)


@contextmanager
def open_shop(folder: Path) -> Iterator[Shop]:
    """With a broker, a ledger and a server."""
    with EmbeddedValkey() as valkey:
        own = {"IMAGECHORD_HOME": str(folder / "home"), "IMAGECHORD_REDIS_URL": valkey.url}
        passed_on = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE")}
        environment = {**passed_on, **own, "PYTHONPATH": str(Path(tasks.__file__).parents[1])}
        services = Services(load_settings(own, folder))
        with closing(services.ledger), _serving(environment, folder) as url:
            yield Shop(url, services)


@contextmanager
def _serving(environment: dict[str, str], folder: Path) -> Iterator[str]:
    with (
        (folder / "server.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "tests.contract.pages.server"],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 – one prctl call, no locks
        ) as server,
    ):
        assert server.stdout
        url = server.stdout.readline().strip()
        assert url, (folder / "server.log").read_text()
        try:
            yield url
        finally:
            server.terminate()


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Reader:
    """Somebody at a browser. ``complaints`` are what its console and its dialogs say."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []

    def open(self, url: str, *, width: int = 1280, **how: object) -> Page:
        """Look at a page in a fresh context, in English unless ``how`` says otherwise."""
        asked: dict[str, object] = {"locale": "en-US", "viewport": {"width": width, "height": 800}}
        context = self._browser.new_context(**(asked | how))  # type: ignore[arg-type]
        context.set_default_timeout(_HURRIED_MILLISECONDS)
        self._contexts.append(context)
        page = context.new_page()
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(url)
        return page

    def leave(self) -> None:
        """Close what was opened."""
        for context in self._contexts:
            context.close()
