"""The colours that a prompt names, in Korean and English, and the palette that follows from them."""

from __future__ import annotations

import colorsys
import hashlib
import re
from dataclasses import dataclass

Rgb = tuple[int, int, int]

_WORDS: dict[Rgb, str] = {
    (201, 52, 48): "red crimson scarlet 빨강 빨간 빨강색 레드 적색",
    (122, 32, 50): "burgundy wine maroon 버건디 와인 자주",
    (238, 108, 77): "coral salmon 코랄 산호",
    (231, 121, 43): "orange tangerine amber 주황 오렌지",
    (238, 167, 143): "peach apricot 피치 살구",
    (242, 187, 46): "yellow lemon 노랑 노란 옐로 옐로우 레몬",
    (205, 150, 42): "mustard ochre 머스타드 머스터드 겨자",
    (196, 160, 82): "gold golden brass 골드 금색 황금 황동 놋쇠",
    (62, 142, 88): "green emerald 초록 녹색 그린 에메랄드",
    (151, 190, 92): "lime 연두 라임",
    (150, 214, 188): "mint jade celadon 민트 비취색 옥색",
    (154, 174, 146): "sage 세이지",
    (116, 122, 76): "olive khaki 올리브 카키 국방",
    (34, 139, 141): "teal turquoise cyan 청록 틸 터키 터콰이즈",
    (121, 184, 226): "skyblue sky 하늘 스카이블루 스카이",
    (48, 102, 190): "blue cobalt 쪽빛 파랑 파란 블루 코발트 청색",
    (32, 48, 88): "navy indigo 네이비 남색 곤색 인디고",
    (120, 82, 168): "purple violet 보라 퍼플 바이올렛",
    (183, 164, 219): "lavender lilac 라벤더 라일락 연보라",
    (236, 146, 170): "pink rose 분홍 핑크 로즈",
    (204, 68, 132): "magenta fuchsia 마젠타 푸시아",
    (122, 82, 56): "brown chocolate walnut 갈색 브라운 초콜릿 밤색 월넛",
    (190, 140, 96): "tan camel caramel wood oak 카멜 캐멀 카라멜 나무색 원목색",
    (190, 98, 66): "terracotta rust copper 테라코타 벽돌 구리 코퍼",
    (222, 203, 174): "beige sand oatmeal cork straw 베이지 샌드 오트밀 짚색",
    (241, 232, 213): "ivory cream ecru 아이보리 크림 미색 유백색",
    (248, 247, 244): "white 흰 흰색 하양 하얀 화이트 백색",
    (38, 38, 42): "black 검정 검은 까만 블랙 흑색",
    (146, 149, 154): "gray grey 회색 그레이 잿빛",
    (70, 74, 80): "charcoal graphite slate 차콜 먹색 그라파이트",
    (190, 194, 199): "silver 실버 은색 은빛",
}
_RGB_OF = {word: rgb for rgb, words in _WORDS.items() for word in words.split()}


def _pattern() -> re.Pattern[str]:
    """Latin words stand alone; Korean ones begin a word, perhaps after 연-, 진- or 다크, and may take an ending."""
    longest_first = sorted(_RGB_OF, key=len, reverse=True)
    latin = "|".join(word for word in longest_first if word.isascii())
    korean = "|".join(word for word in longest_first if not word.isascii())
    colour = rf"(?<![a-z])(?P<latin>{latin})(?![a-z])|(?<![가-힣])(?:연|진|다크|라이트)?(?P<korean>{korean})"
    ground = r"(?P<ground>(?:\s+(?:seamless|studio))?\s+(?:background|backdrop)|색?\s*배경)?"
    return re.compile(rf"(?:{colour}){ground}")


_COLOUR = _pattern()

_QUIET = [
    _RGB_OF[word] for word in ("coral", "mustard", "sage", "teal", "sky", "navy", "lavender", "terracotta", "olive")
]
"""What a prompt that names no colour is painted in."""


@dataclass(frozen=True, slots=True)
class Palette:
    """``subject`` and ``accent`` paint the object, ``backdrop`` the room, ``ink`` the words."""

    subject: Rgb
    accent: Rgb
    backdrop: Rgb
    ink: Rgb


def named_colours(prompt: str) -> tuple[list[Rgb], list[Rgb]]:
    """The colours that the prompt names for things, and those that it names for the background, in its order."""
    things: list[Rgb] = []
    grounds: list[Rgb] = []
    for match in _COLOUR.finditer(prompt.lower()):
        rgb = _RGB_OF[match["latin"] or match["korean"]]
        (grounds if match["ground"] else things).append(rgb)
    return things, grounds


def palette_of(prompt: str) -> Palette:
    """Choose colours for a prompt: the named ones, else a pair drawn from its hash. Always the same for the same."""
    things, grounds = named_colours(prompt)
    digest = hashlib.sha256(prompt.encode()).digest()
    subject = things[0] if things else _QUIET[digest[0] % len(_QUIET)]
    others = [rgb for rgb in things if rgb != subject]
    accent = others[0] if others else _companion(subject)
    backdrop = mix(grounds[0], subject, 0.07) if grounds else _room_for(subject, digest[1] / 256)
    ink = mix((24, 24, 28), subject, 0.12) if luminance(backdrop) > 0.52 else (246, 244, 240)
    return Palette(subject, accent, backdrop, ink)


def mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    """``one`` with a share (0 to 1) of ``other``."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def luminance(rgb: Rgb) -> float:
    """How bright it looks, 0 to 1."""
    red, green, blue = rgb
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def _from_hue(hue: float, lightness: float, saturation: float) -> Rgb:
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def _companion(subject: Rgb) -> Rgb:
    """A quiet second colour: oak beside dark and bright things, a deeper tone of the same beside others."""
    if luminance(subject) < 0.25 or luminance(subject) > 0.80:
        return 196, 158, 112
    return mix(subject, (30, 26, 30), 0.45)


def _room_for(subject: Rgb, chance: float) -> Rgb:
    """A backdrop on which the subject stands out: a tint of it, or of a neighbouring hue when it has none."""
    red, green, blue = (part / 255 for part in subject)
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    if saturation < 0.12 or lightness > 0.85:
        return _from_hue(chance, 0.80 if lightness < 0.6 else 0.76, 0.24)
    return _from_hue((hue + 0.06 * (chance - 0.5)) % 1.0, 0.87 if lightness < 0.62 else 0.91, min(0.55, saturation))
