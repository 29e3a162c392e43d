"""Words into lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.pictures.card.typesetting import font, set_text

FONT = Path(__file__).parents[4] / "config/fonts/ImagechordSans.otf"


@settings(deadline=None)
@given(st.text(max_size=200), st.integers(40, 600), st.integers(0, 300))
def test_text_stays_in_its_box(text: str, width: int, height: int) -> None:
    """No line is wider than the box and all of them together are no higher, whatever the text."""
    block = set_text(text, FONT, [40, 30, 20, 12], width, height)
    assert block.height <= height + 1
    assert all(block.font.getlength(line) <= width for line in block.lines)


def test_nothing_is_lost_while_there_is_room() -> None:
    """The words come out in their order, none missing, in the largest size that fits."""
    text = "도자기 머그컵의 전문 이커머스 제품 사진 " * 3
    block = set_text(text, FONT, [40, 30, 20], 400, 200)
    assert " ".join(block.lines) == text.strip()
    assert block.font.size < 40


def test_short_text_is_set_large() -> None:
    """The first size that fits is taken."""
    assert set_text("Mug", FONT, [40, 30, 20], 400, 200).font.size == 40


def test_a_word_wider_than_the_box_is_broken() -> None:
    """A long word without spaces goes on in the next line, whole."""
    block = set_text("가" * 60, FONT, [20], 200, 400)
    assert len(block.lines) > 1
    assert "".join(block.lines) == "가" * 60


def test_what_does_not_fit_ends_in_an_ellipsis() -> None:
    """The reader sees that there is more."""
    block = set_text("word " * 200, FONT, [20, 16], 200, 60)
    assert block.lines[-1].endswith("…")


def test_a_font_is_opened_once_for_each_size() -> None:
    """No file is read per card."""
    assert font(FONT, 33) is font(FONT, 33)


@pytest.mark.parametrize("text", ["똠얌 ₩", "뷁 쀍 힣 가", "ÀÉñ “quotes” – — … · × € ™", "㎖ ㎏ ① ★ → ※"])
def test_no_glyph_is_missing(text: str) -> None:
    """None of these signs is drawn as the box that stands for a missing one."""
    face = font(FONT, 48)
    missing = bytes(face.getmask("\U000e0001"))
    assert missing.count(0) < len(missing), "the font draws something for a missing glyph"
    for sign in text.replace(" ", ""):
        drawn = face.getmask(sign)
        assert bytes(drawn) != missing
        assert drawn.getbbox() is not None


def test_every_hangul_syllable_is_there() -> None:
    """All 11,172 of them."""
    face = font(FONT, 16)
    missing = bytes(face.getmask("\U000e0001"))
    assert not [chr(code) for code in range(0xAC00, 0xD7A4) if bytes(face.getmask(chr(code))) == missing]
