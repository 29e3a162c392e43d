"""What the benchmark's servers go by and what they have seen: the image maker's limit, charges, records, messages."""

from __future__ import annotations

import asyncio
import io
import time
from dataclasses import dataclass, field
from typing import Any

from PIL import Image


@dataclass
class Limiter:
    """What the image maker enforces: ``per_minute`` images; 0 means no limit.

    ``token_bucket``: tokens come evenly, at most one second's worth is kept. ``fixed_window``: a minute's worth at
    any time within each minute of the maker's clock (or within ``window_seconds``, their share of it); of the first
    window ``first_window_seconds`` are left at the reset, with their share of its images.
    """

    per_minute: float = 0.0
    algorithm: str = "token_bucket"
    window_seconds: float = 60.0
    first_window_seconds: float = 60.0
    started_at: float = field(default_factory=time.time)
    tokens: float = 0.0
    filled_at: float = 0.0
    window: int = -1
    used: int = 0

    def take(self, now: float) -> float:
        """0.0 for a granted call, else the seconds to wait."""
        if not self.per_minute:
            return 0.0
        if self.algorithm == "fixed_window":
            return self._take_from_window(now)
        per_second = self.per_minute / 60.0
        burst = max(1.0, per_second)
        self.tokens = min(burst, self.tokens + (now - self.filled_at) * per_second) if self.filled_at else burst
        self.filled_at = now
        if self.tokens >= 1.0:
            self.tokens -= 1.0
            return 0.0
        return (1.0 - self.tokens) / per_second

    def _take_from_window(self, now: float) -> float:
        since = now - self.started_at + self.window_seconds - self.first_window_seconds
        window = int(since // self.window_seconds)
        if window != self.window:
            self.window, self.used = window, 0
        allowed_seconds = self.window_seconds if window else self.first_window_seconds
        if self.used < self.per_minute / 60.0 * allowed_seconds:
            self.used += 1
            return 0.0
        return self.window_seconds - since % self.window_seconds


@dataclass
class World:
    """Settings and counters of one measurement. All times are seconds since the epoch."""

    picture: bytes = b""
    latency_seconds: float = 0.0
    limiter: Limiter = field(default_factory=Limiter)
    charged_at: list[float] = field(default_factory=list)
    refused_at: list[float] = field(default_factory=list)
    prompts: set[str] = field(default_factory=set)
    in_flight: int = 0
    most_in_flight: int = 0
    objects: int = 0
    patched_at: dict[str, float] = field(default_factory=dict)
    last_patched_at: float = 0.0
    slack_at: list[float] = field(default_factory=list)
    answered_ms: list[float] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    callers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))

    def charge(self, prompt: str) -> float:
        """One call: 0.0 when it is charged and under way, else the seconds of its Retry-After."""
        now = time.time()
        wait = self.limiter.take(now)
        if wait:
            self.refused_at.append(now)
            return wait
        self.charged_at.append(now)
        self.prompts.add(prompt)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return 0.0

    def patch(self, key: str) -> None:
        """One record of the CMS is written."""
        self.last_patched_at = time.time()
        self.patched_at.setdefault(key, self.last_patched_at)

    def told(self) -> None:
        """One message of Slack."""
        self.slack_at.append(time.time())

    def progress(self) -> dict[str, Any]:
        """What is asked many times during a run."""
        return {
            "charged": len(self.charged_at),
            "refused": len(self.refused_at),
            "objects": self.objects,
            "patched": len(self.patched_at),
            "slack": len(self.slack_at),
        }

    def stats(self) -> dict[str, Any]:
        """Everything, for the end of a run."""
        return {
            **self.progress(),
            "charged_twice": len(self.charged_at) - len(self.prompts),
            "most_in_flight": self.most_in_flight,
            "charged_at": self.charged_at,
            "refused_at": self.refused_at,
            "patched_at": self.patched_at,
            "first_patched_at": min(self.patched_at.values(), default=0.0),
            "last_patched_at": self.last_patched_at,
            "slack_at": self.slack_at,
            "answered_ms": self.answered_ms,
            "limiter_started_at": self.limiter.started_at,
        }


def new_world(settings: dict[str, Any]) -> World:
    """Fresh counters under the settings of ``POST /reset``.

    ``side`` and ``kind`` of the picture, ``latency_seconds``, and the fields of :class:`Limiter`.
    """
    settings = dict(settings)
    picture = draw(settings.pop("side", 64), settings.pop("kind", "PNG"))
    return World(picture, settings.pop("latency_seconds", 0.0), Limiter(**settings))


def draw(side: int, kind: str) -> bytes:
    """A picture with some texture, so that its size and decoding cost are like a photograph's."""
    noise = Image.effect_noise((side, side), 40).convert("RGB")
    smooth = Image.radial_gradient("L").resize((side, side)).convert("RGB")
    buffer = io.BytesIO()
    Image.blend(noise, smooth, 0.8).save(buffer, kind, **({"quality": 88} if kind == "JPEG" else {}))
    return buffer.getvalue()
