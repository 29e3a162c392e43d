"""Content management systems as they are: Wagtail with Django REST framework, Directus 12, Strapi 5.

Each is a server of its own on a fresh SQLite database. Wagtail comes with the development packages; the other two are
installed from npm, which takes minutes: ``scripts/check-cms`` does.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from tests.stand_ins.node import installed, node_environment, run
from tests.stand_ins.ports import free_ports, wait_until_up
from tests.stand_ins.supervisor import supervised

_WAGTAIL = Path(__file__).parents[1] / "integration" / "projects" / "wagtail_shop"
_DIRECTUS = "directus@12.4.0"
_STRAPI = "create-strapi-app@5.54.0"
_START_SECONDS = 120.0


class RealCms:
    """A running CMS with an empty collection of products. ``token`` is what CMS_TOKEN would hold."""

    auth = "Bearer"

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token

    def add(self, sku: str, image_url: str | None = None) -> None:
        """Create a product."""
        raise NotImplementedError

    def image_of(self, sku: str) -> str | None:
        """The picture that a visitor of the shop is shown; ``None`` where there is none."""
        raise NotImplementedError

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"{self.auth} {self.token}"}
        answer = requests.request(method, self.url + path, json=body, headers=headers, timeout=30)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None


class Wagtail(RealCms):
    """Products are pages, written through a REST API of the shop's and read through Wagtail's own."""

    auth = "Token"

    def add(self, sku: str, image_url: str | None = None) -> None:
        """A page that is published at once."""
        self._ask("POST", "/api/products/", {"sku": sku, "title": sku, "image_url": image_url or ""})

    def image_of(self, sku: str) -> str | None:
        """As the front-end gets it."""
        found = requests.get(
            f"{self.url}/site/pages/", {"type": "shop.ProductPage", "fields": "image_url", "sku": sku}, timeout=30
        )
        (page,) = found.json()["items"]
        return page["image_url"] or None


class Directus(RealCms):
    """A collection of items with a sku and a picture."""

    def prepare(self, *, numbered: bool) -> None:
        """Create the collection: with ids of its own, or with the sku as its primary key."""
        text = {"type": "string", "meta": {"interface": "input"}}
        key = {"is_primary_key": True, "is_nullable": False}
        fields = [
            {**text, "field": "sku", "schema": {} if numbered else key},
            {**text, "field": "image_url", "schema": {"max_length": 1024}},
        ]
        if numbered:
            fields.append({"field": "id", "type": "integer", "schema": {**key, "has_auto_increment": True}})
        self._ask("POST", "/collections", {"collection": "products", "meta": {}, "schema": {}, "fields": fields})

    def add(self, sku: str, image_url: str | None = None) -> None:
        """An item."""
        self._ask("POST", "/items/products", {"sku": sku, "image_url": image_url})

    def image_of(self, sku: str) -> str | None:
        """As whoever may read the collection is shown it."""
        found = self._ask("GET", f"/items/products?filter[sku][_eq]={quote(sku, safe='')}")
        (item,) = found["data"]
        return item["image_url"]


class Strapi(RealCms):
    """Entries with documentIds, drafts and published versions."""

    def add(self, sku: str, image_url: str | None = None) -> None:
        """An entry that is published at once."""
        self._ask("POST", "/api/products", {"data": {"sku": sku, "image_url": image_url}})

    def image_of(self, sku: str) -> str | None:
        """Of the published version."""
        found = self._ask("GET", f"/api/products?filters[sku][$eq]={quote(sku, safe='')}")
        (entry,) = found["data"]
        return entry["image_url"]


@contextmanager
def wagtail() -> Iterator[Wagtail]:
    """The project in ``tests/integration/projects/wagtail_shop``, served by waitress; up in two seconds."""
    port, token = free_ports(1)[0], secrets.token_hex(20)
    with tempfile.TemporaryDirectory(prefix="wagtail-") as name:
        folder = Path(name)
        command = [sys.executable, "serve.py", str(port), token]
        database = {"SHOP_DATABASE": str(folder / "shop.sqlite3"), "DJANGO_SETTINGS_MODULE": "shop.settings"}
        with _served("wagtail", command, _WAGTAIL, folder, database, f"http://127.0.0.1:{port}/api/products/") as url:
            yield Wagtail(url, token)


@contextmanager
def directus(*, numbered: bool = False) -> Iterator[Directus]:
    """Directus 12 with a collection of products, ``numbered`` or by sku. Raises NodeUnavailable."""
    program = installed("directus", _install_directus)
    port, token = free_ports(1)[0], secrets.token_hex(20)
    with tempfile.TemporaryDirectory(prefix="directus-") as name:
        folder = Path(name)
        settings = {
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "DB_CLIENT": "sqlite3",
            "DB_FILENAME": str(folder / "data.db"),
            "STORAGE_LOCAL_ROOT": str(folder),
            "SECRET": secrets.token_hex(32),
            "ADMIN_EMAIL": "admin@example.com",
            "ADMIN_PASSWORD": secrets.token_hex(16),
            "ADMIN_TOKEN": token,
            "TELEMETRY": "false",
            "PRESSURE_LIMITER_ENABLED": "false",  # on a busy machine it answers 503 to everything
        }
        cli = str(program / "node_modules" / ".bin" / "directus")
        run([cli, "bootstrap"], program, **settings)
        ready = f"http://127.0.0.1:{port}/server/ping"
        with _served("directus", [cli, "start"], program, folder, node_environment() | settings, ready) as url:
            served = Directus(url, token)
            served.prepare(numbered=numbered)
            yield served


@contextmanager
def strapi() -> Iterator[Strapi]:
    """Strapi 5 with a content type product. Raises NodeUnavailable."""
    project = installed("strapi", _install_strapi)
    port = free_ports(1)[0]
    with tempfile.TemporaryDirectory(prefix="strapi-") as name:
        folder = Path(name)
        settings = {
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "NODE_ENV": "production",
            "DATABASE_FILENAME": os.path.relpath(folder / "data.db", project),
            "TOKEN_FILE": str(folder / "token"),
            "STRAPI_TELEMETRY_DISABLED": "true",
        }
        command = [str(project / "node_modules" / ".bin" / "strapi"), "start"]
        ready = f"http://127.0.0.1:{port}/_health"
        with _served("strapi", command, project, folder, node_environment() | settings, ready) as url:
            yield Strapi(url, (folder / "token").read_text())


@contextmanager
def _served(  # noqa: PLR0917 – what a server is started with
    name: str, command: list[str], project: Path, logs: Path, environment: Mapping[str, str], ready: str
) -> Iterator[str]:
    with supervised({name: command}, logs, environment, project):
        wait_until_up(ready, logs / f"{name}.log", _START_SECONDS)
        yield "/".join(ready.split("/")[:3])


def _install_directus(folder: Path) -> None:
    run(["npm", "init", "-y"], folder)
    run(["npm", "install", "--no-progress", "--no-audit", _DIRECTUS, "sqlite3"], folder)


def _install_strapi(folder: Path) -> None:
    options = "--non-interactive --skip-cloud --no-run --dbclient sqlite --js --no-example --no-git-init --install"
    run(["npx", "--yes", _STRAPI, str(folder), *options.split()], folder.parent)
    product = folder / "src" / "api" / "product"
    schema = product / "content-types" / "product" / "schema.json"
    schema.parent.mkdir(parents=True)
    schema.write_text(json.dumps(_PRODUCT))
    for kind in ("controller", "route", "service"):
        (product / f"{kind}s").mkdir()
        factory = f"createCore{'Router' if kind == 'route' else kind.title()}"
        code = f"module.exports = require('@strapi/strapi').factories.{factory}('api::product.product');\n"
        (product / f"{kind}s" / "product.js").write_text(code)
    (folder / "src" / "index.js").write_text(_MAKE_TOKEN)
    admin = folder / "config" / "admin.js"
    admin.write_text(admin.read_text().replace("=> ({", "=> ({\n  serveAdminPanel: false,", 1))


_PRODUCT = {
    "kind": "collectionType",
    "collectionName": "products",
    "info": {"singularName": "product", "pluralName": "products", "displayName": "Product"},
    "options": {"draftAndPublish": True},
    "attributes": {"sku": {"type": "string", "unique": True}, "image_url": {"type": "string"}},
}

_MAKE_TOKEN = """\
module.exports = {
  register() {},
  async bootstrap({ strapi }) {
    const options = { name: 'imagechord', description: '', type: 'full-access', lifespan: null };
    const token = await strapi.service('admin::api-token').create(options);
    require('fs').writeFileSync(process.env.TOKEN_FILE, token.accessKey);
  },
};
"""
