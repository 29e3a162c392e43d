"""CMSs that really exist, as they were seen to answer: for where the real ones (``real_cms``) are not at hand.

``scripts/check-cms`` holds Directus and Strapi against the same tests as these.
"""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.stand_ins.http_server import Reply, Request, StandIn


class Dialect(StandIn):
    """Products by sku, each with an image_url and nothing else; ``token`` is what CMS_TOKEN would hold."""

    token = "user:application password"

    def __init__(self) -> None:
        super().__init__()
        self.products: dict[str, str | None] = {}

    @property
    def authorization(self) -> str:
        """The header of somebody who has the token."""
        return f"Bearer {self.token}"

    def add(self, sku: str, image_url: str | None = None) -> None:
        """Create a product."""
        self.products[sku] = image_url

    def image_of(self, sku: str) -> str | None:
        """The picture that a visitor of the shop is shown."""
        return self.products[sku] or None

    def answer(self, request: Request) -> Reply:
        """Authorisation, then the dialect."""
        if request.headers["Authorization"] != self.authorization:
            return Reply(401, {"error": "unauthorized"})
        address = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        return self.speak(request, unquote(address.path), query)

    def speak(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        """What this CMS answers to an authorised request."""
        raise NotImplementedError

    def written(self, sku: str, change: dict[str, Any]) -> dict[str, Any]:
        """Keep what there is a field for, and show the record as it is then."""
        if "image_url" in change:
            self.products[sku] = change["image_url"]
        return self.record(sku)

    def record(self, sku: str) -> dict[str, Any]:
        """What the CMS shows of a product, besides its ids."""
        return {"sku": sku, "image_url": self.products[sku]}

    def numbers(self) -> dict[str, int]:
        """Ids by sku."""
        return {sku: 100 + number for number, sku in enumerate(self.products)}


class Directus(Dialect):
    """204 for a key it does not have, 200 while dropping a field it does not know (12.4.0).

    A collection with ids of its own is the same but for the last part of the path.
    """

    def speak(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        """``GET /items/products?filter[sku][_eq]=…``, ``PATCH /items/products/{key}``."""
        if path == "/users/me":
            return Reply(body={"data": {}})
        if path == "/items/products":
            wanted = query["filter[sku][_eq]"]
            return Reply(body={"data": [self.record(wanted)] if wanted in self.products else []})
        sku = self.sku_of(path.removeprefix("/items/products/"))
        if sku not in self.products:
            return Reply(204) if request.method == "PATCH" else Reply(403, {"errors": [{"message": "no permission"}]})
        return Reply(body={"data": self.written(sku, request.json())})

    def sku_of(self, key: str) -> str:
        """The sku of an item's primary key."""
        return key


class NumberedDirectus(Directus):
    """The collection has ids of its own."""

    def record(self, sku: str) -> dict[str, Any]:
        """With its id."""
        return {"id": self.numbers()[sku], **super().record(sku)}

    def sku_of(self, key: str) -> str:
        """By number."""
        return {str(number): sku for sku, number in self.numbers().items()}.get(key, "")


class Strapi(Dialect):
    """No PATCH; entries have a documentId of their own, and an unknown field is refused (5.54.0)."""

    def speak(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        """``GET /api/products?filters[sku][$eq]=…``, then ``PUT /api/products/{documentId}``."""
        if request.method == "GET" and path == "/api/products":
            wanted = query.get("filters[sku][$eq]", "")
            return Reply(body={"data": [self.record(wanted)] if wanted in self.products else []})
        if request.method != "PUT":
            return Reply(405, {"error": "Method Not Allowed"})
        skus = {f"/api/products/doc-{number}": sku for sku, number in self.numbers().items()}
        change = request.json()["data"]
        if unknown := change.keys() - {"sku", "image_url"}:
            return Reply(400, {"error": {"name": "ValidationError", "message": f"Invalid key {unknown.pop()}"}})
        return Reply(body={"data": self.written(skus[path], change)})

    def record(self, sku: str) -> dict[str, Any]:
        """With its documentId."""
        return {"documentId": f"doc-{self.numbers()[sku]}", **super().record(sku)}


class WordPress(Dialect):
    """Numeric ids, looked up by slug; only registered meta is kept, and all of it is shown (6.1.9, and core's code).

    A filter by slug takes several, separated by commas or blanks, and each is made a slug as titles are. Meta without
    a value is shown as an empty text.
    """

    @property
    def authorization(self) -> str:
        """An application password is sent as Basic."""
        return "Basic " + base64.b64encode(self.token.encode()).decode()

    def speak(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        """``GET /wp-json/wp/v2/products?slug=…``, then ``POST /wp-json/wp/v2/products/{id}``."""
        if path == "/wp-json/wp/v2/users/me":
            return Reply(body={"id": 1})
        if request.method == "GET":
            wanted = [_slug(each) for each in re.split(r"[\s,]+", query["slug"])]
            return Reply(body=[self.record(sku) for sku in self.products if _slug(sku) in wanted])
        skus = {f"/wp-json/wp/v2/products/{number}": sku for sku, number in self.numbers().items()}
        return Reply(body=self.written(skus[path], request.json().get("meta", {})))

    def record(self, sku: str) -> dict[str, Any]:
        """With its id, slug and meta."""
        meta = {"image_url": self.products[sku] or ""}
        return {"id": self.numbers()[sku], "slug": _slug(sku), "meta": meta}


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", title.lower()).strip("-")
