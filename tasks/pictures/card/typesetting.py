"""Words into lines: measured, wrapped at spaces (inside a word only where it must be), cut with an ellipsis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

from tasks.pictures.card.colours import Rgb

_LEADING = 1.28
"""Height of a line, in font sizes."""


@lru_cache(maxsize=128)
def font(file: Path, size_pixels: int) -> ImageFont.FreeTypeFont:
    """The font at a size. The basic layout engine draws the same on every machine; Raqm may be missing."""
    return ImageFont.truetype(str(file), size_pixels, layout_engine=ImageFont.Layout.BASIC)


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Lines that fit their box."""

    lines: tuple[str, ...]
    font: ImageFont.FreeTypeFont

    @property
    def height(self) -> int:
        """In pixels, leading included."""
        return round(len(self.lines) * self.font.size * _LEADING)

    def draw(self, canvas: ImageDraw.ImageDraw, left: int, top: int, ink: Rgb) -> None:
        """Write the lines, the first one's box at ``left``, ``top``."""
        for number, line in enumerate(self.lines):
            canvas.text((left, top + round(number * self.font.size * _LEADING)), line, font=self.font, fill=ink)


def set_text(text: str, file: Path, sizes_pixels: list[int], width: int, height: int) -> TextBlock:
    """Set the text in the largest of the sizes in which it fits; in the last one it is cut to fit."""
    for size in sizes_pixels:
        face = font(file, size)
        room = int(height / (size * _LEADING))
        lines = _wrap(text, face, width, room + 1)
        if len(lines) <= room:
            return TextBlock(tuple(lines), face)
    return TextBlock(tuple(_cut(lines, face, width, room)), face)


def _wrap(text: str, face: ImageFont.FreeTypeFont, width: int, most_lines: int) -> list[str]:
    """Break into at most ``most_lines`` lines, each at most ``width`` pixels wide."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if face.getlength(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while face.getlength(line) > width and len(line) > 1 and len(lines) < most_lines:
            head = _fitting(line, face, width)
            lines.append(line[:head])
            line = line[head:]
        if len(lines) >= most_lines:
            return lines[:most_lines]
    return [*lines, line] if line else lines


def _fitting(word: str, face: ImageFont.FreeTypeFont, width: int) -> int:
    """How many characters of an over-long word fit; at least one."""
    count = 1
    while count < len(word) and face.getlength(word[: count + 1]) <= width:
        count += 1
    return count


def _cut(lines: list[str], face: ImageFont.FreeTypeFont, width: int, room: int) -> list[str]:
    if room < 1:
        return []
    kept = lines[:room]
    if len(lines) > room:
        last = kept[-1]
        while last and face.getlength(last + "…") > width:
            last = last[:-1]
        kept[-1] = last.rstrip(" ,.;:·") + "…"
    return kept
