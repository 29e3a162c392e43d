"""The things on the cards: each a few lit shapes in a unit square that stands on its lower edge."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

Tone = Literal["subject", "accent", "dark", "light", "plinth"]
Form = Literal["slab", "arch", "oval", "ring", "polygon"]
Light = Literal["round", "ball", "flat"]


@dataclass(frozen=True, slots=True)
class Shape:
    """One lit shape of a thing.

    ``points`` of a slab and an arch: left, top, right, bottom, corner radius; of an oval: the first four; of a
    ring: the four and its thickness; of a polygon: x, y, x, y … All in the unit square, x to the right and y
    downwards; the thing stands on y = 1.
    """

    form: Form
    points: tuple[float, ...]
    tone: Tone = "subject"
    light: Light = "round"


def _slab(*points: float, tone: Tone = "subject", light: Light = "round") -> Shape:
    return Shape("slab", points, tone, light)


def _arch(*points: float, tone: Tone = "subject", light: Light = "flat") -> Shape:
    return Shape("arch", points, tone, light)


def _oval(*points: float, tone: Tone = "subject", light: Light = "round") -> Shape:
    return Shape("oval", points, tone, light)


def _ring(*points: float, tone: Tone = "subject", light: Light = "round") -> Shape:
    return Shape("ring", points, tone, light)


def _polygon(*points: float, tone: Tone = "subject", light: Light = "flat") -> Shape:
    return Shape("polygon", points, tone, light)


MOTIFS: dict[str, tuple[Shape, ...]] = {
    "mug": (
        _ring(0.56, 0.36, 0.94, 0.80, 0.075),
        _slab(0.14, 0.22, 0.72, 1.00, 0.10),
        _slab(0.14, 0.22, 0.72, 0.50, 0.0),
        _oval(0.14, 0.15, 0.72, 0.29, tone="light"),
        _oval(0.17, 0.17, 0.69, 0.28, tone="dark"),
    ),
    "bottle": (
        _slab(0.41, 0.00, 0.59, 0.17, 0.03, tone="accent"),
        _slab(0.44, 0.15, 0.56, 0.30, 0.02),
        _slab(0.28, 0.24, 0.72, 1.00, 0.13),
        _slab(0.28, 0.52, 0.72, 0.80, 0.0, tone="light"),
    ),
    "jar": (
        _slab(0.16, 0.38, 0.84, 1.00, 0.12),
        _slab(0.16, 0.60, 0.84, 0.84, 0.0, tone="light"),
        _slab(0.13, 0.24, 0.87, 0.43, 0.04, tone="accent"),
    ),
    "bag": (
        _ring(0.31, 0.00, 0.69, 0.62, 0.035, tone="accent"),
        _polygon(0.13, 0.32, 0.87, 0.32, 0.94, 1.00, 0.06, 1.00),
        _slab(0.44, 0.54, 0.56, 0.66, 0.02, tone="accent", light="flat"),
    ),
    "box": (
        _polygon(0.08, 0.34, 0.58, 0.42, 0.58, 1.00, 0.08, 0.90),
        _polygon(0.58, 0.42, 0.94, 0.32, 0.94, 0.86, 0.58, 1.00, tone="dark"),
        _polygon(0.08, 0.34, 0.44, 0.25, 0.94, 0.32, 0.58, 0.42, tone="light"),
        _polygon(0.27, 0.37, 0.39, 0.39, 0.39, 0.962, 0.27, 0.938, tone="accent"),
        _polygon(0.27, 0.37, 0.63, 0.277, 0.75, 0.293, 0.39, 0.39, tone="accent"),
    ),
    "vase": (
        _slab(0.40, 0.04, 0.60, 0.50, 0.03),
        _oval(0.36, 0.00, 0.64, 0.09, tone="light"),
        _oval(0.39, 0.015, 0.61, 0.075, tone="dark"),
        _oval(0.18, 0.34, 0.82, 1.00, light="ball"),
    ),
    "lamp": (
        _slab(0.47, 0.40, 0.53, 0.96, 0.0, tone="accent"),
        _oval(0.30, 0.90, 0.70, 1.00, tone="accent"),
        _polygon(0.32, 0.02, 0.68, 0.02, 0.88, 0.50, 0.12, 0.50, light="round"),
        _oval(0.12, 0.46, 0.88, 0.54, tone="light"),
    ),
    "cushion": (
        _slab(0.08, 0.20, 0.92, 1.00, 0.24, light="ball"),
        _slab(0.46, 0.20, 0.54, 1.00, 0.02, tone="accent", light="flat"),
    ),
    "shirt": (
        _polygon(0.28, 0.12, 0.02, 0.36, 0.14, 0.54, 0.30, 0.42),
        _polygon(0.72, 0.12, 0.98, 0.36, 0.86, 0.54, 0.70, 0.42, tone="dark"),
        _polygon(0.39, 0.12, 0.61, 0.12, 0.57, 0.20, 0.43, 0.20, tone="dark"),
        _polygon(
            *(
                0.28,
                0.12,
                0.39,
                0.12,
                0.43,
                0.18,
                0.50,
                0.20,
                0.57,
                0.18,
                0.61,
                0.12,
                0.72,
                0.12,
                0.76,
                1.00,
                0.24,
                1.00,
            ),
        ),
    ),
    "sphere": (
        _slab(0.18, 0.70, 0.82, 1.00, 0.02, tone="plinth"),
        _oval(0.18, 0.64, 0.82, 0.77, tone="plinth", light="flat"),
        _oval(0.25, 0.12, 0.75, 0.72, light="ball"),
    ),
    "arches": (
        _oval(0.62, 0.02, 0.94, 0.34, tone="accent", light="ball"),
        _arch(0.06, 0.22, 0.74, 1.00, 0.34, tone="dark"),
        _arch(0.16, 0.36, 0.64, 1.00, 0.24),
        _arch(0.26, 0.50, 0.54, 1.00, 0.14, tone="light"),
        _arch(0.66, 0.62, 0.96, 1.00, 0.15),
    ),
    "stack": (
        _slab(0.12, 0.80, 0.88, 1.00, 0.10, tone="accent"),
        _slab(0.20, 0.60, 0.80, 0.80, 0.10),
        _slab(0.27, 0.42, 0.73, 0.60, 0.09, tone="light"),
        _oval(0.37, 0.14, 0.63, 0.42, tone="accent", light="ball"),
    ),
}

_KEYWORDS: dict[str, str] = {
    "mug": "mug cup coffee teacup 머그 컵 커피 찻잔",
    "bottle": "bottle tumbler serum perfume shampoo 텀블러 물병 보틀 세럼 향수 샴푸",
    "jar": "jar candle lotion 캔들 양초 로션 단지",
    "bag": "bag tote backpack pouch 가방 백팩 에코백 토트 파우치",
    "box": "box gift soap 상자 박스 선물 비누",
    "vase": "vase planter 화병 꽃병 화분",
    "lamp": "lamp 램프 무드등 스탠드",
    "cushion": "cushion pillow blanket 쿠션 베개 담요 방석",
    "arches": "blog article poster banner illustration instagram story sale 블로그 포스터 배너 일러스트 인스타 세일",
    "shirt": "shirt tee hoodie sweater knit jacket 셔츠 후드 니트 스웨터 자켓 재킷",
}
_FREE = ("sphere", "stack", "vase", "box", "jar", "bottle")
"""What stands for a prompt that names nothing we can draw."""


def motif_of(prompt: str) -> tuple[Shape, ...]:
    """The thing whose name comes first in the prompt, else one drawn from its hash."""
    text = prompt.lower()
    found = [(text.find(word), name) for name, words in _KEYWORDS.items() for word in words.split() if word in text]
    if found:
        return MOTIFS[min(found)[1]]
    return MOTIFS[_FREE[hashlib.sha256(prompt.encode()).digest()[2] % len(_FREE)]]
