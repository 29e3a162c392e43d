"""Colours that prompts name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.pictures.card.colours import luminance, named_colours, palette_of

BLACK, WHITE, GOLD, SILVER = (38, 38, 42), (248, 247, 244), (196, 160, 82), (190, 194, 199)
RED, NAVY, SKY, PINK = (201, 52, 48), (32, 48, 88), (121, 184, 226), (236, 146, 170)


@pytest.mark.parametrize(
    ("prompt", "things", "grounds"),
    [
        ("a red mug", [RED], []),
        ("A RED mug", [RED], []),
        ("빨간 머그컵", [RED], []),
        ("빨간색 머그컵", [RED], []),
        ("black and gold lamp", [BLACK, GOLD], []),
        ("검은색 램프", [BLACK], []),
        ("은색 손잡이가 달린 검은색 램프", [SILVER, BLACK], []),
        ("네이비 가방, 흰색 배경", [NAVY], [WHITE]),
        ("navy bag on a seamless white background", [NAVY], [WHITE]),
        ("white mug", [WHITE], []),
        ("연분홍 셔츠", [PINK], []),
        ("하늘색 셔츠", [SKY], []),
        ("스카이블루 셔츠", [SKY], []),
        ("bored of tangled goldfish", [], []),
        ("요금색인 없는 노트", [], []),
        ("", [], []),
    ],
)
def test_colours_are_found_as_words(
    prompt: str, things: list[tuple[int, int, int]], grounds: list[tuple[int, int, int]]
) -> None:
    """Korean and English colour words, of things and of backgrounds, and never parts of other words."""
    assert named_colours(prompt) == (things, grounds)


def test_the_named_colour_paints_the_thing() -> None:
    """The first colour is the subject's, the second the accent's, and a background's stays behind."""
    palette = palette_of("red lamp with a gold foot, black background")
    assert (palette.subject, palette.accent) == (RED, GOLD)
    assert luminance(palette.backdrop) < 0.3


@given(st.text(max_size=80))
def test_the_words_can_always_be_read(prompt: str) -> None:
    """Ink and backdrop are far apart, whatever the prompt names, and the same prompt has the same palette."""
    palette = palette_of(prompt)
    assert abs(luminance(palette.ink) - luminance(palette.backdrop)) > 0.33
    assert palette == palette_of(prompt)


@pytest.mark.parametrize(
    "ground", ["white", "black", "red", "gray", "olive", "mustard", "navy", "teal", "pink", "coral"]
)
def test_words_can_be_read_on_every_named_ground(ground: str) -> None:
    """Light and dark backgrounds have ink to match."""
    palette = palette_of(f"silver mug, {ground} background")
    assert abs(luminance(palette.ink) - luminance(palette.backdrop)) > 0.33


def test_prompts_without_colours_differ() -> None:
    """A sheet of prompts that name no colour is not of one colour."""
    assert len({palette_of(f"thing {number}").subject for number in range(60)}) > 5
