"""The small pictures of the contact sheet."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tasks.core.pictures import Size
from tasks.pictures.inspect import decode, inspect
from tasks.pictures.thumbnail import thumbnail
from tests.unit.pictures.samples import FORMATS, encode, halves


@pytest.mark.parametrize("kind", FORMATS)
def test_it_is_a_small_jpeg_of_the_same_shape(kind: str) -> None:
    """240 pixels on the long side, a few kilobytes, whatever the picture was."""
    small = thumbnail(decode(encode(halves(1200, 630), kind)))
    assert inspect(small).format == "jpeg"
    assert inspect(small).size == Size(240, 126)
    assert len(small) < 12_000


def test_a_tall_picture_has_its_height_limited() -> None:
    """The long side counts, whichever it is."""
    assert inspect(thumbnail(decode(encode(halves(100, 1000), "png")))).size == Size(24, 240)


def test_a_small_picture_is_not_enlarged() -> None:
    """Nothing is made up."""
    assert inspect(thumbnail(decode(encode(halves(50, 40), "png")))).size == Size(50, 40)


def test_a_thin_picture_keeps_a_pixel() -> None:
    """No side is ever rounded to nothing."""
    assert inspect(thumbnail(decode(encode(halves(4000, 4), "png")))).size == Size(240, 1)


def test_what_is_transparent_becomes_white() -> None:
    """On the sheet a cut-out product stands on white, not on black."""
    small = thumbnail(decode(encode(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), "png")))
    with Image.open(io.BytesIO(small)) as image:
        assert image.getpixel((25, 25)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK"])
def test_every_kind_of_picture_has_one(mode: str) -> None:
    """Bitmaps, greys, palettes and print colours are all shown."""
    kind = "jpeg" if mode == "CMYK" else "png"
    assert inspect(thumbnail(decode(encode(halves(mode="RGB").convert(mode), kind)))).size == Size(96, 64)


def test_sixteen_bits_keep_their_brightness() -> None:
    """A middle grey of 65,536 steps is a middle grey of 256."""
    small = thumbnail(decode(encode(Image.new("I;16", (50, 50), 0x8000), "png")))
    with Image.open(io.BytesIO(small)) as image:
        pixel = image.getpixel((25, 25))
    assert isinstance(pixel, tuple)
    assert abs(pixel[0] - 128) <= 2


def test_the_picture_itself_is_not_changed() -> None:
    """The decoded picture is shared, so making a thumbnail leaves it alone."""
    decoded = decode(encode(halves(500, 400), "png"))
    before = decoded.image.tobytes()
    thumbnail(decoded)
    assert decoded.image.tobytes() == before
