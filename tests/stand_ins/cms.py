"""A CMS that records what it is told and misbehaves on demand: the article's API."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.stand_ins.http_server import Reply, Request, StandIn


@dataclass(frozen=True)
class CmsFault:
    """How one write goes wrong. ``drop_field`` answers 200 and keeps nothing; ``lost_answer`` keeps it and hangs up."""

    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    drop_field: bool = False
    lost_answer: bool = False


class CmsStandIn(StandIn):
    """``PATCH /api/products/{sku}`` with a Bearer token, echoing the record.

    ``products`` is what it holds: sku → URL, or ``None`` for a product without a picture; ``galleries`` what
    ``image_urls`` were last. With
    ``any_product=True`` every sku exists. ``faults[sku]`` are used up by the writes of that sku, one each.
    ``silent=True`` answers 204 without a body.
    """

    def __init__(
        self,
        products: Iterable[str] = (),
        *,
        any_product: bool = False,
        token: str = "cms-token",
        silent: bool = False,
    ) -> None:
        super().__init__()
        self.products: dict[str, str | None] = dict.fromkeys(products)
        self.galleries: dict[str, list[str]] = {}
        self.any_product = any_product
        self.token = token
        self.silent = silent
        self.faults: defaultdict[str, list[CmsFault]] = defaultdict(list)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point the pipeline here."""
        return {"CMS_URL": self.url, "CMS_TOKEN": self.token}

    def script(self, sku: str, *faults: CmsFault | None) -> None:
        """The next writes of ``sku`` meet these faults in turn; ``None`` is a write that goes well."""
        self.faults[sku] += [fault or _NO_FAULT for fault in faults]

    def writes(self, sku: str) -> int:
        """How many writes of ``sku`` have come in, failed ones included."""
        path = f"/api/products/{sku}"
        return sum(r.method == "PATCH" and unquote(urlsplit(r.path).path) == path for r in self.requests)

    def answer(self, request: Request) -> Reply:
        """Authorisation first, then the route, then the scripted fault, then the write."""
        if request.headers["Authorization"] != f"Bearer {self.token}":
            return Reply(401, {"error": "wrong token"})
        match = re.fullmatch(r"/api/products/([^/]+)", urlsplit(request.path).path)
        if request.method == "GET" and request.path == "/api/products":
            return Reply(body=[{"sku": sku, "image_url": url} for sku, url in self.products.items()])
        if not match:
            return Reply(404, {"error": "no such page"})
        sku = unquote(match[1])
        if not (self.any_product or sku in self.products):
            return Reply(404, {"error": "no such product"})
        if request.method == "GET":
            return Reply(body=self._record(sku))
        return self._written(sku, request.json()) if request.method == "PATCH" else Reply(405)

    def _written(self, sku: str, change: dict[str, Any]) -> Reply:
        fault = self.faults[sku].pop(0) if self.faults[sku] else _NO_FAULT
        if fault.drop_field:
            return Reply(body={"sku": sku}, delay_seconds=fault.delay_seconds)
        if fault.status < 300 or fault.lost_answer:
            self.products[sku] = change.get("image_url")
            if "image_urls" in change:
                self.galleries[sku] = change["image_urls"]
        if fault.lost_answer:
            return Reply(disconnect=True)
        if fault.status >= 300:
            return Reply(fault.status, {"error": "as scripted"}, fault.headers, fault.delay_seconds)
        body: Any = b"" if self.silent else self._record(sku)
        return Reply(204 if self.silent else 200, body, fault.headers, fault.delay_seconds)

    def _record(self, sku: str) -> dict[str, Any]:
        gallery = {"image_urls": self.galleries[sku]} if sku in self.galleries else {}
        return {"sku": sku, "image_url": self.products.get(sku), **gallery}


class InterruptedCms(CmsStandIn):
    """A CMS with any product that takes everything, or answers 503 to everything while it is not ``up``."""

    def __init__(self) -> None:
        super().__init__(any_product=True)
        self.up = threading.Event()
        self.up.set()

    def answer(self, request: Request) -> Reply:
        """503 while down."""
        return super().answer(request) if self.up.is_set() else Reply(503, {"error": "down"})

    @property
    def written(self) -> int:
        """How many products have a picture."""
        return sum(url is not None for url in list(self.products.values()))


_NO_FAULT = CmsFault(status=200)
