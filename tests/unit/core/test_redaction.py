"""Secrets are taken out of words, whichever way they are written."""

from __future__ import annotations

import base64

import pytest

from tasks.core.errors import ImageEnded, Invalid
from tasks.core.redaction import conceal, redacted

SECRET = 'sk/live+7f3a"91c5'


@pytest.fixture(autouse=True)
def _concealed() -> None:
    conceal([SECRET, "pass:word-of-basic", "short"[:3]])


@pytest.mark.parametrize(
    "form",
    [SECRET, "sk%2Flive%2B7f3a%2291c5", 'sk/live+7f3a\\"91c5', base64.b64encode(b"pass:word-of-basic").decode()],
    ids=["plain", "quoted", "json", "basic"],
)
def test_a_concealed_value_is_hidden_in_every_form(form: str) -> None:
    """As it is, in a URL, in JSON, and in a Basic header."""
    assert redacted(f"before {form} after") == "before … after"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("at redis://:hunter22@h:6379/0 it", "at redis://…@h:6379/0 it"),
        ("postgresql+psycopg://me:hunter22@h/db", "postgresql+psycopg://…@h/db"),
        ("Authorization: Bearer abc.def-12345", "Authorization: Bearer …"),
        ("{'Authorization': 'Bearer abc.def-12345'}", "{'Authorization': 'Bearer …'}"),
        ('"authorization": "Basic dXNlcjpwYXNz"', '"authorization": "Basic …"'),
        ("bearer abc.def-12345 is bad", "bearer … is bad"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_unasked(text: str, clean: str) -> None:
    """Passwords in URLs and Authorization headers, also those that nobody has told us of."""
    assert redacted(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        *(
            "https://cdn.example/a@2x/b:c.png",
            "line 3: 07:30 to 18:00 at a@b.example",
            "sho is short",
            "basic knowledge",
        ),
        *("the authorization failed", "a teddy bearer of gifts", "빨간 컵 https://shop.example:8080/상품"),
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    """What is no secret is not touched; values too short to be one are not concealed."""
    assert redacted(text) == text


def test_our_errors_hold_no_secret() -> None:
    """Every error of ours is clean from its making on."""
    assert str(Invalid(f"it said {SECRET}", trace_id="t")) == "it said …"
    assert str(ImageEnded(f"it said {SECRET}")) == "it said …"
