"""Pictures to test with, made by Pillow: a left half and a right half of different colours, with a little noise."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

FORMATS = ("png", "jpeg", "webp", "avif")


def halves(width: int = 96, height: int = 64, mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right, noise laid over both."""
    image = Image.effect_noise((width, height), 60).convert("RGB")
    blend = Image.new("RGB", (width, height), (200, 30, 30))
    blend.paste((30, 30, 200), (width // 2, 0, width, height))
    return Image.blend(blend, image, 0.1).convert(mode)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The picture's bytes in a format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
