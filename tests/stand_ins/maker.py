"""The maker of a model, seen from its limits: it counts calls at the same time, and refuses what comes too fast."""

from __future__ import annotations

import io
import os
import threading
import time
from functools import cache
from typing import Any

import requests
from PIL import Image

from tasks.core.errors import NotSent, Overloaded, RateLimited
from tasks.core.health import Health
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest
from tests.stand_ins.http_server import Reply, Request, StandIn


@cache
def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(buffer, "PNG")
    return buffer.getvalue()


class Counted(StandIn):
    """Counts its calls: ``in_flight`` now, ``most_in_flight`` so far, ``started`` on the wall clock, ``refused``.

    A call takes ``latency_seconds``, and longer while the ``gate`` is closed. A bucket of one second's tokens is
    enforced at ``per_minute``; 0.0 means none.
    """

    def __init__(self, *, latency_seconds: float = 0.0, per_minute: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.latency_seconds = latency_seconds
        self.gate = threading.Event()
        self.gate.set()
        self.in_flight = self.most_in_flight = 0
        self.started: list[float] = []
        self.refused: list[float] = []
        self._per_second = per_minute / 60
        self._tokens, self._filled_at = self._per_second, time.monotonic()

    def reply_to(self, request: Request) -> Reply:
        """Count the call for as long as it takes; a refused one takes no time."""
        with self.lock:
            wait_seconds = self._take()
            if wait_seconds:
                self.refused.append(time.time())
                return Reply(429, headers={"Retry-After": f"{wait_seconds:.3f}"})
            self.started.append(time.time())
            self.in_flight += 1
            self.most_in_flight = max(self.in_flight, self.most_in_flight)
        try:
            self.pause(self.latency_seconds)
            while not self.gate.wait(0.05) and not self._closing.is_set():
                pass
            return super().reply_to(request)
        finally:
            with self.lock:
                self.in_flight -= 1

    def _take(self) -> float:
        """0.0 for a granted call, else the seconds until the next token."""
        if not self._per_second:
            return 0.0
        now = time.monotonic()
        self._tokens = min(max(1.0, self._per_second), self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._per_second


class Maker(Counted):
    """Answers every call with the same small picture."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point :class:`MakerImages` here."""
        return {"MAKER_URL": self.url}

    def answer(self, request: Request) -> Reply:
        """A picture."""
        return Reply(body=_picture())


class MakerImages:
    """The provider that calls a :class:`Maker`: ``provider = "tests.stand_ins.maker:MakerImages"``."""

    name = "maker"
    capabilities = Capabilities()

    def generate(self, request: GenerationRequest) -> GeneratedPicture:
        """One paid POST. Raises RateLimited, Overloaded, and NotSent when nobody listens."""
        try:
            answer = requests.post(os.environ["MAKER_URL"], json={"prompt": request.prompt}, timeout=(30, 60))
        except requests.ConnectionError as error:
            raise NotSent(str(error)) from error
        if answer.status_code == 429:
            raise RateLimited("429", retry_after_seconds=float(answer.headers["Retry-After"]))
        if answer.status_code != 200:
            raise Overloaded(f"HTTP {answer.status_code}")
        return GeneratedPicture(answer.content)

    def check(self) -> Health:
        """Always there."""
        return Health(self.name, "ok", os.environ["MAKER_URL"])
