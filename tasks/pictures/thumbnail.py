"""The small picture that the contact sheet shows. It is made once, when the picture is."""

from __future__ import annotations

import io

from PIL import Image

from tasks.pictures.inspect import Decoded

LONG_SIDE = 240


def thumbnail(decoded: Decoded) -> bytes:
    """Return a JPEG of at most 240 pixels a side, about 3 to 8 KB; what is transparent becomes white."""
    full = decoded.image
    scale = min(1.0, LONG_SIDE / max(full.size))
    size = max(1, round(full.width * scale)), max(1, round(full.height * scale))
    small = _on_white(full).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    buffer = io.BytesIO()
    small.save(buffer, "jpeg", quality=78, optimize=True)
    return buffer.getvalue()


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):
        return image.point(lambda value: value / 256).convert("L").convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(white, layered).convert("RGB")
