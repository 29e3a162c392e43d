"""EXIF orientation, read by hand: Pillow's EXIF reader warns about strangers' damaged blocks, ours shrugs."""

from __future__ import annotations

import struct

from PIL.Image import Image, Transpose

_TAG = 0x0112
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def upright(image: Image) -> Image:
    """The picture as it is to be shown: itself, or a turned copy."""
    exif = image.info.get("exif")
    turn = _TURNS.get(orientation(exif)) if isinstance(exif, bytes) else None
    return image if turn is None else image.transpose(turn)


def orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, of an EXIF block with or without its ``Exif`` prefix; 1 when it tells none."""
    block = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}L", block, 4)
        (entries,) = struct.unpack_from(f"{order}H", block, directory)
        for number in range(entries):
            tag, _, _, value = struct.unpack_from(f"{order}HHLH", block, directory + 2 + 12 * number)
            if tag == _TAG:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
