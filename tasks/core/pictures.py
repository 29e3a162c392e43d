"""What a picture is asked to be, and what the catalogue can make of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.core.errors import InputError

_SIZE = re.compile(r"\s*(\d{1,5})\s*[xX×*]\s*(\d{1,5})\s*")


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    def covers(self, other: Size) -> bool:
        """Whether the other size can be cut out of this one: it is smaller on neither side."""
        return self.width >= other.width and self.height >= other.height

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read ``1200x630``. Raises InputError for anything else, and outside 16 to 8192 pixels a side."""
        match = _SIZE.fullmatch(text)
        if not match:
            raise InputError(f"size {text!r} is not WIDTHxHEIGHT; write it like 1024x1024")
        size = cls(int(match[1]), int(match[2]))
        if not (16 <= size.width <= 8192 and 16 <= size.height <= 8192):
            raise InputError(f"size {text!r} is out of range; each side is 16 to 8192 pixels")
        return size


@dataclass(frozen=True, slots=True)
class StagedPicture:
    """A picture in staging. ``sha256`` is 64 hexadecimal characters of its bytes."""

    key: str
    content_type: str
    size_bytes: int
    sha256: str
