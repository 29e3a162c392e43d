"""Whether bytes are a whole picture, and of which kind. The bytes decide, never a name or a declared type.

Pillow's ``verify()`` passes a JPEG cut in half and its ``load()`` passes a PNG without its end, so both are
done, on separate opens. The plug-in of the format is opened by hand instead of with ``Image.open``, which would
warn about large pictures through a process-wide filter that threads cannot share; our own cap comes first.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass

from PIL.AvifImagePlugin import AvifImageFile
from PIL.Image import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from tasks.core.errors import BadBytes
from tasks.core.pictures import Size
from tasks.pictures.orientation import upright

MAX_PIXELS = 8192 * 8192
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Picture:
    """What a picture is. ``size`` is in pixels as it is shown, its EXIF orientation applied."""

    format: str
    content_type: str
    extension: str
    size: Size


@dataclass(frozen=True, slots=True)
class Decoded:
    """Bytes and what they decode to, so that they are decoded once. ``image`` is shared: never change it.

    ``image`` holds the pixels as they are shown, its EXIF orientation applied.
    """

    data: bytes
    picture: Picture
    image: Image


@dataclass(frozen=True, slots=True)
class _Format:
    name: str
    content_type: str
    extension: str
    open: Callable[[io.BytesIO], ImageFile]


class _Jpeg(JpegImageFile):
    """Pillow's, less its habit of looking for a resolution in the EXIF data, which warns when that is damaged."""

    def _read_dpi_from_exif(self) -> None:
        """The resolution in print is nothing to us."""


_PNG = _Format("png", "image/png", "png", PngImageFile)
_JPEG = _Format("jpeg", "image/jpeg", "jpg", _Jpeg)
_WEBP = _Format("webp", "image/webp", "webp", WebPImageFile)
_AVIF = _Format("avif", "image/avif", "avif", AvifImageFile)


def inspect(data: bytes, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> Picture:
    """Say what the picture is. Raises BadBytes as :func:`decode` does."""
    return decode(data, max_pixels=max_pixels, max_bytes=max_bytes).picture


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> Decoded:
    """Check that the bytes are one whole PNG, JPEG, WebP or AVIF picture, and decode it. Thread-safe.

    Raises BadBytes when they are empty, something else, cut short, damaged, longer than ``max_bytes`` or larger
    than ``max_pixels`` (judged before any pixel is decoded).
    """
    if len(data) > max_bytes:
        raise BadBytes(f"the picture is {len(data):,} bytes long; at most {max_bytes:,} are taken")
    kind = _kind_of(data)
    try:
        image = _load(kind, data, max_pixels)
    except BadBytes:
        raise
    except Exception as error:  # Pillow's codecs raise OSError, SyntaxError, ValueError, struct.error, zlib.error …
        reason = " ".join(str(error).split())[:200]
        raise BadBytes(f"the {kind.name.upper()} picture is cut short or damaged: {reason}") from error
    picture = Picture(kind.name, kind.content_type, kind.extension, Size(image.width, image.height))
    return Decoded(data, picture, image)


def _load(kind: _Format, data: bytes, max_pixels: int) -> Image:
    """Verify, then decode, on separate opens. Raises BadBytes for too many pixels and whatever Pillow raises."""
    with kind.open(io.BytesIO(data)) as unread:
        if unread.width * unread.height > max_pixels:
            raise BadBytes(f"the picture is {unread.width}x{unread.height}; at most {max_pixels:,} pixels are taken")
        unread.verify()
    _check_end(kind, data)
    image = kind.open(io.BytesIO(data))
    image.load()
    return upright(image)


def _check_end(kind: _Format, data: bytes) -> None:
    """Raise BadBytes for the small cuts at the very end that Pillow lets pass."""
    whole = True
    if kind is _PNG:
        whole = b"IEND\xaeB`\x82" in data[-65536:]
    elif kind is _JPEG:  # what follows the end marker (a gain map, say) may be long; what precedes it is not
        whole = b"\xff\xd9" in data[data.rfind(b"\xff\xda") :]
    elif kind is _WEBP:
        whole = len(data) >= int.from_bytes(data[4:8], "little") + 8
    if not whole:
        raise BadBytes(f"the {kind.name.upper()} picture is cut short: its end is missing")


def _kind_of(data: bytes) -> _Format:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _PNG
    if data.startswith(b"\xff\xd8\xff"):
        return _JPEG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _WEBP
    if data[4:8] == b"ftyp" and data[8:12] in {b"avif", b"avis"}:
        return _AVIF
    raise BadBytes(_what_it_is(data))


def _what_it_is(data: bytes) -> str:
    """Name what came instead of a picture, for the person who reads the ledger."""
    if not data:
        return "the file is empty, not a picture"
    start = data[:300].lstrip().decode("utf-8", "replace")
    shown = " ".join("".join(c if c.isprintable() else " " for c in start).split())[:120]
    if start[:1] in {"{", "["}:
        try:
            json.loads(data)
        except ValueError:
            return f"this is text, not a picture: {shown}"
        return f"this is a JSON document, not a picture: {shown}"
    if start[:1] == "<":
        kind = "an SVG drawing, which is not taken" if "<svg" in start.lower() else "an HTML or XML page, not a picture"
        return f"this is {kind}: {shown}"
    if "\ufffd" not in start and all(c.isprintable() or c.isspace() for c in start):
        return f"this is text, not a picture: {shown}"
    return f"these {len(data):,} bytes are not a PNG, JPEG, WebP or AVIF picture (they begin with {data[:8].hex(' ')})"
