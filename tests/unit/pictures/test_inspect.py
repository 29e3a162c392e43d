"""Which bytes are a whole picture."""

from __future__ import annotations

import io
import random
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageOps

from tasks.core.errors import BadBytes
from tasks.core.pictures import Size
from tasks.pictures.inspect import Picture, decode, inspect
from tasks.pictures.orientation import orientation
from tests.unit.pictures.samples import FORMATS, encode, halves

KINDS = {
    "png": ("image/png", "png"),
    "jpeg": ("image/jpeg", "jpg"),
    "webp": ("image/webp", "webp"),
    "avif": ("image/avif", "avif"),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_the_bytes_tell_the_format(kind: str) -> None:
    """Format, content type, extension and size are read from the bytes alone."""
    content_type, extension = KINDS[kind]
    assert inspect(encode(halves(), kind)) == Picture(kind, content_type, extension, Size(96, 64))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("cut", [1, 2, 3, 4, 8, 12, 13, 20, 100, 0.5])
def test_a_cut_picture_is_bad(kind: str, cut: float) -> None:
    """However little is missing at the end, the picture is not whole, though Pillow itself may draw it."""
    data = encode(halves(), kind)
    missing = cut if isinstance(cut, int) else round(len(data) * cut)
    with pytest.raises(BadBytes, match="cut short"):
        inspect(data[:-missing])


def test_what_pillow_alone_lets_pass() -> None:
    """The reason for looking twice: each of Pillow's two checks passes one of these, and ours neither."""
    half_jpeg = encode(halves(), "jpeg")
    half_jpeg = half_jpeg[: len(half_jpeg) // 2]
    png_without_end = encode(halves(), "png")[:-12]
    with Image.open(io.BytesIO(half_jpeg)) as image:
        image.verify()
    with Image.open(io.BytesIO(png_without_end)) as image:
        image.load()
    for data in (half_jpeg, png_without_end):
        with pytest.raises(BadBytes):
            inspect(data)


def test_a_flipped_bit_in_a_png_is_bad() -> None:
    """A checksum that does not fit is damage."""
    data = bytearray(encode(halves(), "png"))
    data[len(data) // 2] ^= 1
    with pytest.raises(BadBytes, match="damaged"):
        inspect(bytes(data))


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_what_follows_a_whole_picture_does_not_matter(kind: str) -> None:
    """Gain maps and signatures behind the end marker are allowed."""
    assert inspect(encode(halves(), kind) + b"\0" * 5000).size == Size(96, 64)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b'{"error": {"code": "STORAGE"}}', "JSON document, not a picture: .*STORAGE"),
        (b'\n [{"a": 1}]', "JSON document"),
        (b'{"error": {"code": "STO', "text, not a picture"),
        (b"<!DOCTYPE html><title>502 Bad Gateway</title>", "HTML or XML page, not a picture: .*502 Bad Gateway"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "AccessDenied"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG drawing"),
        ("서버 오류".encode(), "text, not a picture: 서버 오류"),
        (b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff", r"not a PNG, JPEG, WebP or AVIF .*47 49 46 38"),
        (b"\x00" * 100, "100 bytes are not"),
        (b"\x89PNG\r\n\x1a\n", "PNG picture is cut short or damaged"),
        (b"\xff\xd8\xff", "JPEG picture is cut short or damaged"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "WEBP picture is cut short or damaged"),
        (b"\x00\x00\x00\x1cftypavif", "AVIF picture is cut short or damaged"),
    ],
)
def test_what_came_instead_is_named(data: bytes, words: str) -> None:
    """The error says what the bytes are, in one short printable line."""
    with pytest.raises(BadBytes, match=words) as caught:
        inspect(data)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_too_many_pixels_are_not_decoded() -> None:
    """A small file that unfolds into a huge picture is refused by its header."""
    bomb = encode(Image.new("1", (20_000, 20_000)), "png")
    assert len(bomb) < 100_000
    with pytest.raises(BadBytes, match=r"20000x20000; at most 67,108,864 pixels"):
        inspect(bomb)


def test_the_caps_are_the_callers() -> None:
    """Both caps can be set; exactly as much as allowed is allowed."""
    data = encode(halves(), "png")
    assert inspect(data, max_pixels=96 * 64, max_bytes=len(data))
    with pytest.raises(BadBytes, match="96x64"):
        inspect(data, max_pixels=96 * 64 - 1)
    with pytest.raises(BadBytes, match="bytes long"):
        inspect(data, max_bytes=len(data) - 1)


def test_the_largest_size_raises_no_warning() -> None:
    """What our own sizes allow is below the mark at which Pillow would warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoded = decode(encode(Image.new("1", (8192, 8192)), "png"))
        decoded.image.crop((0, 0, 8192, 8192))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("turn", range(1, 9))
def test_the_picture_is_as_shown(kind: str, turn: int) -> None:
    """A picture that its EXIF data turns or mirrors has the size and the pixels that a browser shows."""
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encode(halves(), kind, exif=exif.tobytes())
    with Image.open(io.BytesIO(data)) as stored:
        shown = ImageOps.exif_transpose(stored)
    decoded = decode(data)
    assert decoded.picture.size == Size(shown.width, shown.height)
    assert decoded.image.tobytes() == shown.tobytes()


def test_both_byte_orders_of_exif_are_read() -> None:
    """Cameras write either."""
    entry = (0x0112, 3, 1, 6, 0, 0)
    little = b"II*\0" + struct.pack("<LHHHLHHL", 8, 1, *entry)
    big = b"MM\0*" + struct.pack(">LHHHLHHL", 8, 1, *entry)
    assert [orientation(block) for block in (little, big, b"Exif\0\0" + big, big[:-12], b"", b"XX")] == [
        6,
        6,
        6,
        1,
        1,
        1,
    ]


def test_damaged_exif_data_does_not_make_a_picture_bad() -> None:
    """An EXIF block full of nonsense is ignored, without a warning."""
    data = encode(halves(), "jpeg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fnonsense")
    assert inspect(data).size == Size(96, 64)


def test_noise_never_raises_anything_else() -> None:
    """Whatever is damaged inside a picture, the answer is a picture or BadBytes."""
    chance = random.Random(2)
    outcomes = set()
    for kind in FORMATS:
        whole = encode(halves(), kind)
        for _ in range(60):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 8)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            try:
                inspect(bytes(data))
                outcomes.add("picture")
            except BadBytes:
                outcomes.add("bad")
    assert outcomes == {"picture", "bad"}


def test_many_threads_may_inspect_at_once() -> None:
    """Nothing is shared between calls."""
    pictures = [encode(halves(40 + n, 50), FORMATS[n % 4]) for n in range(16)]
    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(lambda data: inspect(data).size, pictures * 4))
    assert sizes == [Size(40 + n, 50) for n in range(16)] * 4
