"""Presets: what may stand in cms.toml, and how paths and bodies are filled."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.core.cms_preset import field_of, filled_body, filled_path, parse_presets
from tasks.core.errors import ConfigurationError, Invalid

GOOD: dict[str, Any] = {"path": "/p/{sku}", "body": {"image_url": "{image_url}"}}


def test_a_small_preset_is_enough() -> None:
    """Path and body suffice; the rest has the article's defaults."""
    preset = parse_presets({"mine": GOOD})["mine"]
    assert (preset.name, preset.method, preset.auth, preset.verify.mode) == (
        "mine",
        "PATCH",
        "bearer",
        "echo_if_present",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "/p/{id}"}, r"cms.toml: \[mine\]: \{id\} in '/p/\{id\}' is not known here; there is sku"),
        ({"path": "/p/{}"}, r"\{\} in"),
        ({"body": {"url": "{url}"}}, r"\{url\} in"),
        ({"body": {"list": [1, {"deep": "{url}"}]}}, r"\{url\} in"),
        ({"body": {"all": "all: {image_urls}"}}, r"\{image_urls\} in 'all: "),
        ({"body": {"image_url": 3}}, r"body has no \{image_url\}"),
        ({"lookup": {"path": "/p?q={id}", "field": "id"}}, r"\{id\} in"),
        ({"lookup": {"path": "/p", "field": "a b"}}, r"\[mine\].lookup.field"),
        ({"verify": {"mode": "read_back", "path": "/{x}", "field": "a"}}, r"\{x\} in"),
        ({"verify": {"mode": "hope"}}, r"\[mine\].verify"),
        ({"replaced": {"image_url": "image_url"}}, r"replaced has no path, and there is no lookup"),
        ({"replaced": {"path": "/{id}", "image_url": "a"}}, r"\{id\} in '/\{id\}'"),
        ({"replaced": {"path": "/p", "image_urls": "a"}}, r"replaced must have a field for image_url, as body has"),
        ({"replaced": {"path": "/p"}}, r"replaced must have a field for image_url"),
        ({"replaced": {"path": "/p", "image_url": "a"}, "body": {"html": "<img src={image_url}>"}}, r"only a part"),
        ({"replaced": True}, r"\[mine\].replaced"),
        ({"methd": "PUT"}, r"\[mine\].methd"),
        ({"per_minute": 0}, r"\[mine\].per_minute"),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], message: str) -> None:
    """A mistake names the file, the table, the key and what is wrong."""
    with pytest.raises(ConfigurationError, match=message):
        parse_presets({"mine": {**GOOD, **change}})


def test_a_key_outside_of_a_table() -> None:
    """A stray key at the top of the file is no preset."""
    with pytest.raises(ConfigurationError, match="'path' stands outside of a preset"):
        parse_presets({"path": "/x"})


def test_paths_are_quoted() -> None:
    """A value cannot leave its segment or start a query, and is not filled a second time."""
    assert (
        filled_path("/p/{sku}/{id}?q={sku}", {"sku": "a/b?{id}", "id": "7"})
        == "/p/a%2Fb%3F%7Bid%7D/7?q=a%2Fb%3F%7Bid%7D"
    )
    with pytest.raises(Invalid, match=r"'\.\.' cannot be part of a URL"):
        filled_path("/p/{sku}", {"sku": ".."})


def test_bodies_are_filled_in_depth() -> None:
    """Texts are filled wherever they stand, other values stay, and a value that looks like a placeholder is text."""
    body = {"data": [{"url": "{image_url}", "n": 1}, "key {sku}"], "flag": True, "none": None}
    assert filled_body(body, {"sku": "{image_url}"}, {"image_url": "https://x"}) == {
        "data": [{"url": "https://x", "n": 1}, "key {image_url}"],
        "flag": True,
        "none": None,
    }


def test_a_list_stands_alone() -> None:
    """A value that is `{image_urls}` becomes the list; a body without one has no room for variants."""
    body = {"first": "{image_url}", "all": "{image_urls}"}
    preset = parse_presets({"mine": {**GOOD, "body": body}})["mine"]
    assert preset.takes_list
    assert not parse_presets({"mine": GOOD})["mine"].takes_list
    urls = ["https://x", "https://y"]
    pictures = {"image_url": "https://x", "image_urls": urls}
    assert filled_body(preset.body, {"sku": "1"}, pictures) == {"first": "https://x", "all": urls}
    assert parse_presets({"mine": {**GOOD, "body": {"all": "{image_urls}"}}})["mine"].takes_list


def test_what_was_there_fills_the_body_again() -> None:
    """A value that the CMS had before goes back as it was, be it no text at all."""
    body = {"data": {"image_url": "{image_url}", "note": "picture of {sku}"}}
    for before in (None, "", "https://old", {"id": 7}):
        assert filled_body(body, {"sku": "1"}, {"image_url": before}) == {
            "data": {"image_url": before, "note": "picture of 1"}
        }


def test_a_readable_preset() -> None:
    """It says where each value of its body is shown; without a path in the lookup's answer; false turns it off."""
    body = {"image_url": "{image_url}", "image_urls": "{image_urls}"}
    fields = {"image_url": "0.picture", "image_urls": "0.gallery"}
    lookup = {"path": "/p?q={sku}", "field": "0.id"}
    preset = parse_presets({"mine": {**GOOD, "body": body, "lookup": lookup, "replaced": fields}})["mine"]
    assert preset.replaced
    assert preset.replaced.fields == fields
    assert parse_presets({"mine": {**GOOD, "replaced": False}})["mine"].replaced is False


@pytest.mark.parametrize(
    ("path", "value"),
    [("data.0.id", 7), ("data.1.id", None), ("data.x", None), ("data.0.id.more", None), ("nothing", None)],
)
def test_fields_of_an_answer(path: str, value: Any) -> None:
    """A dotted path finds its value, and None where there is none."""
    assert field_of({"data": [{"id": 7}]}, path) == value
