"""Bring a picture to exactly the asked size."""

from __future__ import annotations

import io
from typing import Any

from PIL.Image import Image, Resampling

from tasks.core.pictures import Size
from tasks.pictures.inspect import Decoded, Picture

_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "png": {"compress_level": 3},
    "jpeg": {"quality": 92, "subsampling": 0},
    "webp": {"quality": 92, "method": 3},
    "avif": {"quality": 85, "speed": 8},
}


def fit(decoded: Decoded, asked: Size) -> Decoded:
    """Crop to the asked shape around the centre, and resize to exactly ``asked``, in the same format.

    A picture that has the asked size already is returned as it is: its bytes keep whatever their maker signed
    (C2PA). The colour profile is kept; EXIF is dropped, as its orientation and dimensions no longer hold.
    """
    picture = decoded.picture
    if picture.size == asked:
        return decoded
    image = _resizable(decoded.image).resize(
        (asked.width, asked.height),
        Resampling.LANCZOS,
        box=_centre(picture.size, asked),
        reducing_gap=3.0,
    )
    buffer = io.BytesIO()
    profile = decoded.image.info.get("icc_profile")
    image.save(buffer, picture.format, icc_profile=profile, exif=b"", **_SAVE_OPTIONS[picture.format])
    return Decoded(buffer.getvalue(), Picture(picture.format, picture.content_type, picture.extension, asked), image)


def _centre(size: Size, asked: Size) -> tuple[float, float, float, float]:
    """The largest box of the asked shape in the middle of the picture: left, upper, right, lower, in pixels."""
    scale = min(size.width / asked.width, size.height / asked.height)
    width, height = asked.width * scale, asked.height * scale
    left, upper = max(0.0, (size.width - width) / 2), max(0.0, (size.height - height) / 2)
    return left, upper, min(left + width, size.width), min(upper + height, size.height)


def _resizable(image: Image) -> Image:
    """Palettes and bitmaps cannot be interpolated: make them true colour first."""
    if image.mode in {"RGB", "RGBA", "L", "LA", "CMYK", "I;16"}:
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
