from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.sources.text import clean


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (unicodedata.normalize("NFD", "조명"), "조명"),
        ("\u00a0조명\u00a0", "조명"),
        ("\ufeffsku", "sku"),
        ("A\u200b1", "A1"),
        ("조\u00a0명", "조 명"),
        ("\u200e(주)상점\u200f", "(주)상점"),
        ("가\u200d \u200c\u00a0", "가"),
        ("👨\u200d👩\u200d👧 가족", "👨\u200d👩\u200d👧 가족"),
        ("\u200b", ""),
        ("  plain\t", "plain"),
    ],
)
def test_text_is_what_was_meant(typed: str, meant: str) -> None:
    """Invisible characters go, joiners inside emoji stay, NFC is the form."""
    assert clean(typed) == meant


@given(st.text(alphabet=st.sampled_from("a가각ᄀ\u1161 \u00a0\u200b\u200c\u200d\u3000\ufeff\n")))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    """Clean text is clean."""
    once = clean(text)
    assert clean(once) == once
    assert once == unicodedata.normalize("NFC", once).strip()
