"""Pictures brought to exactly the asked size."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tasks.core.pictures import Size
from tasks.pictures.fit import fit
from tasks.pictures.inspect import decode, inspect
from tests.unit.pictures.samples import FORMATS, encode, halves


def colour(image: Image.Image, x: int, y: int) -> str:
    """Which half of the sample a pixel belongs to."""
    pixel = image.convert("RGB").getpixel((x, y))
    assert isinstance(pixel, tuple)
    return "red" if pixel[0] > pixel[2] else "blue"


@pytest.mark.parametrize("kind", FORMATS)
def test_the_right_size_is_left_untouched(kind: str) -> None:
    """Not one byte changes when the size is already right: whatever the maker signed stays."""
    data = encode(halves(), kind)
    assert fit(decode(data), Size(96, 64)).data is data


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("asked", [Size(48, 32), Size(64, 64), Size(16, 200), Size(200, 16), Size(97, 65)], ids=str)
def test_any_size_is_met_exactly(kind: str, asked: Size) -> None:
    """Smaller, larger, wider, taller: the result has the asked size and the same format, and is whole."""
    fitted = fit(decode(encode(halves(), kind)), asked)
    assert inspect(fitted.data) == fitted.picture
    assert fitted.picture.size == asked
    assert fitted.picture.format == kind
    assert fitted.image.size == (asked.width, asked.height)


@settings(deadline=None, max_examples=60)
@given(
    *(st.integers(16, 300) for _ in range(4)),
)
def test_any_size_can_become_any_other(width: int, height: int, asked_width: int, asked_height: int) -> None:
    """Rounding never leads outside the picture."""
    fitted = fit(decode(encode(Image.new("RGB", (width, height)), "png")), Size(asked_width, asked_height))
    assert inspect(fitted.data).size == Size(asked_width, asked_height)


def test_the_middle_is_kept() -> None:
    """A wide picture loses as much on the left as on the right."""
    fitted = fit(decode(encode(halves(200, 50), "png")), Size(50, 50))
    assert [colour(fitted.image, x, 25) for x in (0, 23, 26, 49)] == ["red", "red", "blue", "blue"]


def test_nothing_is_squeezed() -> None:
    """A circle stays a circle."""
    sheet = Image.new("L", (200, 100), 0)
    sheet.paste(255, (80, 30, 120, 70))
    box = fit(decode(encode(sheet, "png")), Size(50, 50)).image.point(lambda value: 255 * (value > 127)).getbbox()
    assert box is not None
    assert (box[2] - box[0], box[3] - box[1]) == (20, 20)


def test_a_turned_picture_is_upright_and_stays_so() -> None:
    """The orientation is applied to the pixels and its mark removed, or it would be turned twice."""
    exif = Image.Exif()
    exif[0x0112] = 6
    fitted = fit(decode(encode(halves(100, 100), "jpeg", exif=exif)), Size(60, 60))
    with Image.open(io.BytesIO(fitted.data)) as image:
        assert image.getexif().get(0x0112, 1) == 1
        assert (colour(image, 30, 5), colour(image, 30, 55)) == ("red", "blue")


@pytest.mark.parametrize("kind", FORMATS)
def test_the_colour_profile_is_kept(kind: str) -> None:
    """Colours mean the same after as before."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    fitted = fit(decode(encode(halves(), kind, icc_profile=profile)), Size(50, 50))
    with Image.open(io.BytesIO(fitted.data)) as image:
        assert image.info["icc_profile"] == profile


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_kind_of_png_can_be_fitted(mode: str) -> None:
    """Bitmaps, greys, palettes, transparency and 16 bits are all brought to size."""
    image = Image.new("I;16", (96, 64), 40_000) if mode == "I;16" else halves(mode="RGB").convert(mode)
    assert inspect(fit(decode(encode(image, "png")), Size(50, 40)).data).size == Size(50, 40)


def test_a_cmyk_jpeg_can_be_fitted() -> None:
    """Print colours stay print colours."""
    fitted = fit(decode(encode(halves(mode="CMYK"), "jpeg")), Size(50, 40))
    assert fitted.image.mode == "CMYK"
    assert inspect(fitted.data).size == Size(50, 40)


def test_transparency_is_kept() -> None:
    """What was see-through stays so, in palettes too."""
    glass = Image.new("RGBA", (96, 64), (200, 30, 30, 0)).quantize(4)
    fitted = fit(decode(encode(glass, "png")), Size(50, 40))
    assert fitted.image.getchannel("A").getextrema() == (0, 0)
