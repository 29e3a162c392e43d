"""The card: a lit room in the prompt's colours, a thing in it, and the prompt's words set beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from tasks.core.pictures import Size
from tasks.pictures.card.colours import Palette, Rgb, luminance, mix, palette_of
from tasks.pictures.card.motifs import Light, Shape, Tone, motif_of
from tasks.pictures.card.typesetting import font, set_text

_WHITE: Rgb = (255, 255, 255)
_SHADE: Rgb = (22, 18, 30)
_SMALLEST_WITH_WORDS = 160
_COARSE = 16
"""The room is drawn at a sixteenth of its size."""
_CLAUSE = re.compile(r"[,.;:，。、\n]\s|[—–]\s")


@dataclass(frozen=True, slots=True)
class _Layout:
    """Boxes are left, top, right, bottom in pixels; ``unit`` is a hundredth of the side of an equally large square."""

    unit: float
    thing: tuple[int, int, int, int]
    words: tuple[int, int, int, int]
    horizon: int


def draw_card(prompt: str, size: Size, caption: str, font_file: Path) -> Image.Image:
    """Draw the card of a prompt: an RGB image of exactly ``size``, the same for the same arguments."""
    palette = palette_of(prompt)
    layout = _lay_out(size)
    image = _room(size, palette, layout)
    _shadow(image, layout)
    for shape in motif_of(prompt):
        _paint(image, shape, layout.thing, palette)
    if min(size.width, size.height) >= _SMALLEST_WITH_WORDS:
        _write(image, (*_split(prompt), caption), palette, layout, font_file)
    return image


def _lay_out(size: Size) -> _Layout:
    """Words above the thing, or to its left on wide cards."""
    width, height = size.width, size.height
    unit = (width * height) ** 0.5 / 100
    margin = round(7 * min(unit, width / 100, height / 80))
    if width >= 1.3 * height:
        side = min(round(0.70 * height), width // 2 - margin)
        right = width - max(margin, (width // 2 - side) // 2)
        bottom = round(height * 0.84)
        words = margin, margin, min(right - side - margin, round(width * 0.52)), height - round(10 * unit)
    else:
        top = round(height * 0.37)
        bottom = round(height * 0.86)
        side = min(bottom - top, round(width * 0.70))
        right = (width + side) // 2
        words = margin, margin, width - margin, top - round(2 * unit)
    thing = right - side, bottom - side, right, bottom
    return _Layout(unit, thing, words, round(bottom - 9 * unit))


def _room(size: Size, palette: Palette, layout: _Layout) -> Image.Image:
    """Wall, floor, and a pool of light behind the thing; drawn small and enlarged, as nothing in it is sharp."""
    across, down = max(2, size.width // _COARSE), max(2, size.height // _COARSE)
    wall = Image.linear_gradient("L").resize((across, down), Image.Resampling.BILINEAR)
    top, low = mix(palette.backdrop, _SHADE, 0.05), mix(palette.backdrop, _WHITE, 0.16)
    room = ImageOps.colorize(wall, top, low)
    left, upper, right, lower = (round(edge / _COARSE) for edge in layout.thing)
    reach = max(2, right - left)
    pool = ImageOps.invert(Image.radial_gradient("L")).resize((reach * 2, reach * 2)).point(lambda v: v * v * 0.7 / 255)
    room.paste(mix(palette.backdrop, _WHITE, 0.55), (left - reach // 2, (upper + lower) // 2 - reach), pool)
    horizon = min(down - 1, max(1, round(layout.horizon / _COARSE)))
    near, far = mix(palette.backdrop, _SHADE, 0.02), mix(palette.backdrop, _SHADE, 0.16)
    floor = Image.linear_gradient("L").resize((across, down - horizon), Image.Resampling.BILINEAR)
    room.paste(ImageOps.colorize(floor, far, near), (0, horizon))
    room = room.filter(ImageFilter.GaussianBlur(1.6))
    return room.resize((size.width, size.height), Image.Resampling.BICUBIC)


def _shadow(image: Image.Image, layout: _Layout) -> None:
    """A soft shadow on the floor, falling to the right."""
    left, _, right, bottom = layout.thing
    side = right - left
    width, height = max(2, round(side * 1.25)), max(2, round(side * 0.26))
    small = Image.new("L", (80, 20))
    canvas = ImageDraw.Draw(small)
    canvas.ellipse((8, 5, 72, 15), fill=70)
    canvas.ellipse((14, 7, 56, 12), fill=130)
    soft = small.filter(ImageFilter.GaussianBlur(2.6)).resize((width, height), Image.Resampling.BICUBIC)
    image.paste(_SHADE, (left - round(side * 0.06), bottom - height // 2), soft)


def _paint(image: Image.Image, shape: Shape, box: tuple[int, int, int, int], palette: Palette) -> None:
    """Light one shape and lay it on the card; its edge is drawn at twice the size and reduced."""
    left, top, right, _ = box
    side = right - left
    xs, ys = _extent(shape)
    x0, y0 = round(left + xs[0] * side), round(top + ys[0] * side)
    width, height = max(1, round((xs[1] - xs[0]) * side)), max(1, round((ys[1] - ys[0]) * side))
    mask = Image.new("L", (width * 2, height * 2))
    _outline(ImageDraw.Draw(mask), shape, (xs[0], ys[0]), 2 * side, (width * 2 - 1, height * 2 - 1))
    lit = _light(shape.light, _tone(shape.tone, palette), (width, height))
    image.paste(lit, (x0, y0), mask.reduce(2))


def _extent(shape: Shape) -> tuple[tuple[float, float], tuple[float, float]]:
    if shape.form == "polygon":
        return (min(shape.points[::2]), max(shape.points[::2])), (min(shape.points[1::2]), max(shape.points[1::2]))
    left, top, right, bottom = shape.points[:4]
    return (left, right), (top, bottom)


def _outline(
    canvas: ImageDraw.ImageDraw, shape: Shape, origin: tuple[float, float], scale: float, end: tuple[int, int]
) -> None:
    """Draw the shape's mask so that it fills the canvas from (0, 0) to ``end``."""
    if shape.form == "polygon":
        xs, ys = shape.points[::2], shape.points[1::2]
        corners = [((x - origin[0]) * scale, (y - origin[1]) * scale) for x, y in zip(xs, ys, strict=True)]
        canvas.polygon(corners, fill=255)
    elif shape.form == "slab":
        canvas.rounded_rectangle((0, 0, *end), radius=shape.points[4] * scale, fill=255)
    elif shape.form == "arch":
        top_only = (True, True, False, False)
        canvas.rounded_rectangle((0, 0, *end), radius=shape.points[4] * scale, fill=255, corners=top_only)
    elif shape.form == "oval":
        canvas.ellipse((0, 0, *end), fill=255)
    else:
        canvas.ellipse((0, 0, *end), outline=255, width=max(2, round(shape.points[4] * scale)))


def _tone(tone: Tone, palette: Palette) -> Rgb:
    if tone == "accent":
        return palette.accent
    if tone == "dark":
        return mix(palette.subject, _SHADE, 0.38)
    if tone == "light":
        return mix(palette.subject, _WHITE, 0.30 if luminance(palette.subject) < 0.8 else 0.75)
    if tone == "plinth":
        return mix(palette.backdrop, _WHITE, 0.5)
    return palette.subject


def _light(light: Light, colour: Rgb, size: tuple[int, int]) -> Image.Image:
    """The colour as a cylinder, a ball or a flat side would show it, lit from the upper left."""
    bright, dim = mix(colour, _WHITE, 0.34), mix(colour, _SHADE, 0.42)
    if light == "ball":
        glow = Image.radial_gradient("L").crop((40, 60, 256, 256))
        return ImageOps.colorize(glow.resize(size), bright, dim, colour, midpoint=120)
    ramp = Image.linear_gradient("L")
    if light == "flat":
        return ImageOps.colorize(ramp.resize(size), mix(colour, _WHITE, 0.08), mix(colour, _SHADE, 0.12))
    across = Image.linear_gradient("L").rotate(90)
    curve = across.point([min(255, round(40 + abs(v - 72) * 1.15)) for v in range(256)])
    return ImageOps.colorize(curve.resize(size), bright, dim, colour, blackpoint=20, whitepoint=255, midpoint=110)


def _write(image: Image.Image, words: tuple[str, str, str], palette: Palette, layout: _Layout, font_file: Path) -> None:
    """Words are the headline, the text below it, and the caption at the foot."""
    canvas = ImageDraw.Draw(image)
    left, top, right, bottom = layout.words
    headline, rest, caption = words
    unit = layout.unit
    head = set_text(headline, font_file, _sizes(unit, 6.6, 3.4), right - left, round((bottom - top) * 0.72))
    head.draw(canvas, left, top, palette.ink)
    below = top + head.height + round(1.4 * unit)
    if rest:
        body = set_text(rest, font_file, _sizes(unit, 2.9, 2.2), right - left, bottom - below)
        body.draw(canvas, left, below, mix(palette.ink, palette.backdrop, 0.32))
    foot = font(font_file, max(8, round(2.1 * unit)))
    quiet = mix(palette.ink, palette.backdrop, 0.42)
    canvas.text((left, image.height - round(5 * unit)), caption, font=foot, fill=quiet, anchor="ls")


def _sizes(unit: float, largest: float, smallest: float) -> list[int]:
    """Font sizes in pixels from the largest to the smallest, each about a tenth smaller than the one before."""
    sizes = [largest]
    while sizes[-1] * 0.9 > smallest:
        sizes.append(sizes[-1] * 0.9)
    return [max(7, round(size * unit)) for size in [*sizes, smallest]]


def _split(prompt: str) -> tuple[str, str]:
    """Headline and rest: the prompt's first clause, if it is long enough to say something."""
    text = " ".join(prompt.split())
    for match in _CLAUSE.finditer(text):
        if 12 <= match.start() <= 90:
            return text[: match.start()], text[match.end() :]
    return text, ""
