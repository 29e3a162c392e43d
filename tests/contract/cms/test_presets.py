"""One suite over every shipped preset: each against its CMS, or what that CMS was seen to do."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable

import pytest

from tasks.core.errors import Account, Invalid
from tasks.delivery.cms import HttpCms
from tests.contract.cms.conftest import Presets
from tests.stand_ins.cms import DialectCms, Directus, Strapi, Wagtail, WordPress

URL = "https://cdn.example.com/SKU-1.png"
TOKEN = "user:application password"
BEARER = f"Bearer {TOKEN}"
BASIC = "Basic " + base64.b64encode(TOKEN.encode()).decode()

MakeCms = Callable[..., DialectCms]


def _wordpress(products: Iterable[str], *, has_field: bool = True) -> DialectCms:
    return WordPress(BASIC, products, has_field=has_field)


def _bearer(kind: type[DialectCms]) -> MakeCms:
    return lambda products, **options: kind(BEARER, products, **options)


@pytest.fixture(params=["directus", "strapi", "wordpress", "wagtail"])
def preset_and_cms(request: pytest.FixtureRequest) -> tuple[str, MakeCms]:
    """A preset's name, and how to make its CMS."""
    makers = {
        "directus": _bearer(Directus),
        "strapi": _bearer(Strapi),
        "wagtail": _bearer(Wagtail),
        "wordpress": _wordpress,
    }
    return request.param, makers[request.param]


def test_the_url_arrives(preset_and_cms: tuple[str, MakeCms], presets: Presets) -> None:
    """The preset's call reaches the right product, and the answer proves it."""
    name, make = preset_and_cms
    with make(["SKU-0", "SKU-1"]) as cms:
        receipt = HttpCms(cms.url, TOKEN, presets[name]).write("SKU-1", [URL])
        assert receipt.endswith("200, echoed")
        assert cms.products == {"SKU-0": None, "SKU-1": URL}


def test_an_unknown_key_is_found_out(preset_and_cms: tuple[str, MakeCms], presets: Presets) -> None:
    """Whatever the CMS answers to a key it does not have, it never counts as written."""
    name, make = preset_and_cms
    with make(["SKU-0"]) as cms:
        with pytest.raises(Invalid, match="no product with key 'SKU-1'"):
            HttpCms(cms.url, TOKEN, presets[name]).write("SKU-1", [URL])
        assert cms.products == {"SKU-0": None}


def test_a_dropped_field_is_found_out(preset_and_cms: tuple[str, MakeCms], presets: Presets) -> None:
    """A CMS whose field was never created answers 200, and the write still does not count."""
    name, make = preset_and_cms
    with make(["SKU-1"], has_field=False) as cms, pytest.raises(Invalid, match="dropped the field"):
        HttpCms(cms.url, TOKEN, presets[name]).write("SKU-1", [URL])


def test_a_wrong_token_is_said(preset_and_cms: tuple[str, MakeCms], presets: Presets) -> None:
    """Every preset's write and check notice a wrong token."""
    name, make = preset_and_cms
    with make(["SKU-1"]) as cms:
        assert HttpCms(cms.url, TOKEN, presets[name]).check().status == "ok"
        wrong = HttpCms(cms.url, "wrong", presets[name])
        assert wrong.check().status == "bad"
        with pytest.raises(Account, match="CMS_TOKEN"):
            wrong.write("SKU-1", [URL])
