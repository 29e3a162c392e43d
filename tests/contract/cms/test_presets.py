"""One suite over every shipped preset: each against its CMS, or what that CMS was seen to do.

Wagtail is real always; Directus and Strapi are when CHECK_CMS names them, as ``scripts/check-cms`` does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Protocol

import pytest

from tasks.core.cms_preset import CmsPreset, Echo
from tasks.core.errors import Account, Invalid
from tasks.delivery.base import ReadableCms
from tasks.delivery.cms import HttpCms
from tasks.delivery.readable_cms import http_cms
from tests.contract.cms.conftest import Presets
from tests.stand_ins import cms_dialects, real_cms

OLD = "https://cdn.example.com/old.png"
NEW = "https://cdn.example.com/new.png"
CHECKED = os.environ.get("CHECK_CMS", "").split()


class Products(Protocol):
    """A CMS with products."""

    token: str

    @property
    def url(self) -> str: ...

    def add(self, sku: str, image_url: str | None = None) -> None: ...

    def image_of(self, sku: str) -> str | None: ...


@dataclass(frozen=True)
class Site:
    """A running CMS, and the preset that writes to it."""

    products: Products
    preset: CmsPreset

    def client(self, token: str | None = None, **changes: Any) -> HttpCms:
        """As the pipeline would have it; ``changes`` are the preset's."""
        return http_cms(self.products.url, token or self.products.token, self.preset.model_copy(update=changes))

    def readable(self) -> ReadableCms:
        """The same, for what it shows."""
        client = self.client()
        assert isinstance(client, ReadableCms)
        return client


_SITES: dict[str, tuple[str, Callable[[], AbstractContextManager[Products]]]] = {
    "directus": ("directus", cms_dialects.Directus),
    "directus_sku": ("directus_sku", cms_dialects.NumberedDirectus),
    "strapi": ("strapi", cms_dialects.Strapi),
    "wordpress": ("wordpress", cms_dialects.WordPress),
    "wagtail": ("wagtail", real_cms.wagtail),
}
_REAL: dict[str, tuple[str, Callable[[], AbstractContextManager[Products]]]] = {
    "real directus": ("directus", real_cms.directus),
    "real directus_sku": ("directus_sku", partial(real_cms.directus, numbered=True)),
    "real strapi": ("strapi", real_cms.strapi),
}
_ALL = _SITES | {name: made for name, made in _REAL.items() if made[0].partition("_")[0] in CHECKED}


@pytest.fixture(scope="module", params=list(_ALL))
def site(request: pytest.FixtureRequest, presets: Presets) -> Iterator[Site]:
    """Each in turn, started once; every test has products of its own."""
    preset, start = _ALL[request.param]
    with start() as products:
        yield Site(products, presets[preset])


_numbers = count(1)


@pytest.fixture
def sku() -> str:
    """A key that no other test has; in lower case, as a slug is."""
    return f"sku-{next(_numbers)}"


def test_the_url_arrives(site: Site, sku: str) -> None:
    """The preset's call reaches the right product, and the answer proves it."""
    site.products.add(sku)
    site.products.add(f"{sku}0")
    assert site.client().write(sku, [NEW]).endswith("200, echoed")
    assert (site.products.image_of(sku), site.products.image_of(f"{sku}0")) == (NEW, None)


def test_an_unknown_key_is_found_out(site: Site, sku: str) -> None:
    """Whatever the CMS answers to a key it does not have, it never counts as written, and is about this key alone."""
    site.products.add(f"{sku}0")
    with pytest.raises(Invalid, match=f"no product with key '{sku}'"):
        site.client().write(sku, [NEW])
    assert site.products.image_of(f"{sku}0") is None


def test_a_dropped_field_is_found_out(site: Site, sku: str) -> None:
    """A write to a field that was never created does not count, though most of them answer 200."""
    site.products.add(sku)
    assert isinstance(site.preset.verify, Echo)
    body = json.loads(json.dumps(site.preset.body).replace('"image_url":', '"picture":'))
    verify = Echo(mode="echo", field=site.preset.verify.field.replace("image_url", "picture"))
    with pytest.raises(Invalid, match=r"dropped the field|Invalid key"):
        site.client(body=body, verify=verify).write(sku, [NEW])


def test_a_wrong_token_is_said(site: Site, sku: str) -> None:
    """Every preset's write and check notice a wrong token."""
    site.products.add(sku)
    assert site.client().check().status == "ok"
    wrong = site.client("wrong")
    assert wrong.check().status == "bad"
    with pytest.raises(Account, match="CMS_TOKEN"):
        wrong.write(sku, [NEW])


@pytest.mark.parametrize("before", [OLD, None])
def test_what_was_there_is_put_back(site: Site, sku: str, before: str | None) -> None:
    """A record's picture, or that it had none, is read before the write and stands there again afterwards."""
    site.products.add(sku, before)
    cms = site.readable()
    was = cms.read(sku)
    assert (was["image_url"] or None) == before
    cms.write(sku, [NEW])
    assert cms.read(sku) == {"image_url": NEW}

    cms.restore(sku, was)

    assert site.products.image_of(sku) == before


def test_a_key_is_only_a_key(site: Site, sku: str) -> None:
    """Signs that mean something in a URL or a filter find no other product, let alone change it."""
    site.products.add(sku)
    for strange in (f"{sku},{sku}", f"{sku}&limit=1", f"{sku}?x", f"{sku}%", f"*{sku}"):
        with pytest.raises(Invalid):
            site.client().write(strange, [NEW])
    assert site.products.image_of(sku) is None


def test_hangul_and_blanks_are_part_of_a_key(site: Site, sku: str) -> None:
    """Where the CMS keeps keys as they are; what WordPress has made a slug of is not guessed."""
    changes_keys = site.preset.name == "wordpress"
    key = f"머그컵 {sku}"
    site.products.add(key)
    with pytest.raises(Invalid, match=f"looking it up found '{sku}'") if changes_keys else nullcontext():
        site.client().write(key, [NEW])
    assert site.products.image_of(key) == (None if changes_keys else NEW)
