"""CMSs that record what they are told: the article's API, and four real ones as they were seen to behave."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

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


class DialectCms(StandIn):
    """A CMS that really exists, as far as writing a field goes. ``has_field=False``: the field was never created."""

    def __init__(self, authorization: str, products: Iterable[str], *, has_field: bool = True) -> None:
        super().__init__()
        self.authorization = authorization
        self.products: dict[str, str | None] = dict.fromkeys(products)
        self.has_field = has_field

    def answer(self, request: Request) -> Reply:
        """Authorisation, then the dialect."""
        if request.headers["Authorization"] != self.authorization:
            return Reply(401, {"error": "unauthorized"})
        return self.speak(request, unquote(urlsplit(request.path).path))

    def speak(self, request: Request, path: str) -> Reply:
        """What this CMS answers to an authorised request."""
        raise NotImplementedError

    def _record(self, sku: str, change: dict[str, Any]) -> dict[str, Any]:
        """Keep the URL if the field exists, and show the record as it is then."""
        if not self.has_field:
            return {"sku": sku}
        self.products[sku] = change.get("image_url")
        return {"sku": sku, "image_url": self.products[sku]}


class Directus(DialectCms):
    """204 for a key it does not have, 200 while dropping a field it does not know (seen in 12.4.0)."""

    def speak(self, request: Request, path: str) -> Reply:
        """``PATCH /items/products/{sku}``."""
        sku = path.removeprefix("/items/products/")
        if path == "/users/me":
            return Reply(body={"data": {}})
        if request.method != "PATCH" or sku not in self.products:
            return Reply(204 if request.method == "PATCH" else 404)
        return Reply(body={"data": self._record(sku, request.json())})


class Strapi(DialectCms):
    """No PATCH; entries have a documentId of their own (seen in 5.54.0)."""

    def speak(self, request: Request, path: str) -> Reply:
        """``GET /api/products?filters[sku][$eq]=…``, then ``PUT /api/products/{documentId}``."""
        if request.method == "GET" and path == "/api/products":
            wanted = parse_qs(urlsplit(request.path).query).get("filters[sku][$eq]", [""])[0]
            found = [{"documentId": f"doc-{n}", "sku": s} for n, s in enumerate(self.products) if s == wanted]
            return Reply(body={"data": found})
        if request.method != "PUT":
            return Reply(405, {"error": "Method Not Allowed"})
        skus = dict(enumerate(self.products))
        sku = skus[int(path.removeprefix("/api/products/doc-"))]
        return Reply(body={"data": self._record(sku, request.json()["data"])})


class WordPress(DialectCms):
    """Numeric ids, looked up by slug; only registered meta is kept (seen in 6.1)."""

    def speak(self, request: Request, path: str) -> Reply:
        """``GET /wp-json/wp/v2/products?slug=…``, then ``POST /wp-json/wp/v2/products/{id}``."""
        ids = {sku: 100 + n for n, sku in enumerate(self.products)}
        if request.method == "GET" and path == "/wp-json/wp/v2/products":
            slug = parse_qs(urlsplit(request.path).query)["slug"][0]
            return Reply(body=[{"id": ids[slug], "slug": slug}] if slug in ids else [])
        if request.method == "GET":
            return Reply(body={"id": 1})
        skus = {number: sku for sku, number in ids.items()}
        sku = skus[int(path.rpartition("/")[2])]
        record = self._record(sku, request.json().get("meta", {}))
        meta = {"image_url": record["image_url"]} if "image_url" in record else {}
        return Reply(body={"id": ids[sku], "meta": meta})


class Wagtail(DialectCms):
    """Django REST framework: a slash at the end, unknown fields ignored (seen in 8.0 with DRF 3.18)."""

    def speak(self, request: Request, path: str) -> Reply:
        """``PATCH /api/products/{sku}/``."""
        sku = path.removeprefix("/api/products/").removesuffix("/")
        if path == "/api/products/" and request.method == "GET":
            return Reply(body=[])
        if sku not in self.products or not path.endswith("/"):
            return Reply(404, {"detail": "Not found."})
        return Reply(body=self._record(sku, request.json()))


_NO_FAULT = CmsFault(status=200)
