"""Things on the cards."""

from __future__ import annotations

import pytest

from tasks.pictures.card.motifs import MOTIFS, motif_of


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("photo of a Ceramic Mug", "mug"),
        ("도자기 머그컵 사진", "mug"),
        ("린넨 에코백", "bag"),
        ("tote bag beside a mug", "bag"),
        ("여름 세일 배너", "arches"),
    ],
)
def test_the_thing_named_first_is_drawn(prompt: str, name: str) -> None:
    """A prompt for a mug shows a mug."""
    assert motif_of(prompt) is MOTIFS[name]


def test_studio_words_name_no_thing() -> None:
    """'Light' and '조명' are in nearly every prompt and mean no lamp."""
    prompts = [f"thing {number}, soft studio light, 스튜디오 조명" for number in range(40)]
    assert MOTIFS["lamp"] not in [motif_of(prompt) for prompt in prompts]


@pytest.mark.parametrize("name", MOTIFS)
def test_every_thing_stays_in_its_square(name: str) -> None:
    """Nothing is drawn outside the box that the layout gives."""
    for shape in MOTIFS[name]:
        edges = shape.points if shape.form == "polygon" else shape.points[:4]
        assert all(0 <= edge <= 1 for edge in edges)
