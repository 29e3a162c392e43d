"""The installation that is put under fire: the integration tests' own, with far ends that keep books."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from tasks.core.money import MICROS_PER_USD
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import upgrade
from tests.chaos.bucket import Bucket
from tests.chaos.maker import PRICE_USD, SIDE_PIXELS, ImageMaker
from tests.chaos.mishaps import cms_faults
from tests.integration.stack import Stack
from tests.stand_ins.cms import CmsStandIn
from tests.stand_ins.fault_proxy import FaultProxy
from tests.stand_ins.slack import SlackStandIn

CONCURRENCY = 8
IN_FLIGHT = 12
MODEL = "chaos"
_TEMPLATE = "chaos"
_SHARING = 20
"""One row in so many asks for the same picture as the row before."""

_MODELS = f"""\
[models.{MODEL}]
provider = "tests.chaos.provider:ChaosImages"
model = "chaos-1"
price_usd = {PRICE_USD}
price_date = 2026-11-01
price_source = "chaos"
sizes = {{ mode = "list", sizes = ["{SIDE_PIXELS}x{SIDE_PIXELS}"] }}
deadline_seconds = 4
limits = {{ in_flight = {IN_FLIGHT} }}
typical_seconds = 0.2
"""

_PROMPTS = f"""\
[templates.{_TEMPLATE}]
size = "{SIDE_PIXELS}x{SIDE_PIXELS}"
prompt = "A small picture of {{name}}."
share = true
"""

_CMS = """\
[generic]
per_minute = 60_000
in_flight = 8
"""

_PREFERENCES = f"""\
worker_concurrency = {CONCURRENCY}
heartbeat_every_seconds = 1.0
heartbeat_expires_seconds = 5.0
sweep_every_seconds = 1.0
unclaimed_after_seconds = 6.0
"""
"""Whatever dies or is lost is missed within seconds."""


class Installation(Stack):
    """A stack whose workers reach the broker through a proxy, and its far ends: use it as a context manager.

    ``proxy``, ``maker``, ``bucket``, ``cms`` and ``slack`` live in this process, and survive what is done to workers.
    """

    def __init__(self, folder: Path, seed: int, rows: list[dict[str, str]], database_url: str | None = None) -> None:
        self.maker, self.bucket = ImageMaker(seed), Bucket(seed)
        self.cms, self.slack = CmsStandIn(row["sku"] for row in rows), SlackStandIn()
        for row in rows:
            self.cms.script(row["sku"], *cms_faults(seed, row["sku"]))
        database = {"IMAGECHORD_DATABASE_URL": database_url} if database_url else {}
        far_ends = {**self.bucket.environment, **self.cms.environment, **self.slack.environment}
        super().__init__(folder, {"MAKER_URL": self.maker.url, **far_ends, **database}, _PREFERENCES)
        self.rows = rows

    def __enter__(self) -> Self:
        super().__enter__()
        for name, text in {"models": _MODELS, "prompts": _PROMPTS, "cms": _CMS}.items():
            (self.folder / "config" / f"{name}.toml").write_text(text)
        self.proxy = self._exit.enter_context(FaultProxy(self.valkey._folder.socket))
        self.environment["IMAGECHORD_REDIS_URL"] = f"redis://127.0.0.1:{self.proxy.port}/0"
        for far_end in (self.maker, self.bucket, self.cms, self.slack):
            self._exit.enter_context(far_end)
        if "IMAGECHORD_DATABASE_URL" in self.environment:
            _migrate(self.environment["IMAGECHORD_DATABASE_URL"])
        return self

    @property
    def broker_url(self) -> str:
        """This process goes straight to the broker: what it looks at and does is no part of the trouble."""
        return self.valkey.url

    def submit_rows(self, budget_usd_micros: int) -> str:
        """Write the batch into the ledger, without sending anything; returns its id."""
        budget_usd = budget_usd_micros / MICROS_PER_USD
        return self.submit(self.rows, template=_TEMPLATE, model=MODEL, budget_usd=f"{budget_usd:.6f}")

    def published(self) -> int:
        """How many products of the CMS have a picture."""
        with self.cms.lock:
            return sum(url is not None for url in self.cms.products.values())


def rows(images: int) -> list[dict[str, str]]:
    """One row an image; some share their picture with the row before."""
    return [{"sku": f"cup-{n:05}", "name": f"cup {n - (n % _SHARING == 1)}"} for n in range(images)]


def _migrate(url: str) -> None:
    ledger = Ledger(parse_database_url(url))
    upgrade(ledger)
    ledger.close()
