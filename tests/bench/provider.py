"""The benchmark's provider: one POST to the benchmark's image server, over a session per thread."""

from __future__ import annotations

import os
import threading

import requests

from tasks.core.errors import Overloaded, RateLimited
from tasks.core.health import Health
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest


class HttpImages:
    """Named in a benchmark's ``models.toml`` as ``tests.bench.provider:HttpImages``."""

    name = "http-images"
    capabilities = Capabilities()

    def __init__(self) -> None:
        self._local = threading.local()
        self._url = os.environ["IMAGE_API_URL"]

    def generate(self, request: GenerationRequest) -> GeneratedPicture:
        """One paid POST. Raises RateLimited and Overloaded."""
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
        answer = session.post(self._url, json={"prompt": request.prompt}, timeout=(5, request.deadline_seconds))
        if answer.status_code == 429:
            after = answer.headers.get("Retry-After")
            raise RateLimited("429", retry_after_seconds=None if after is None else float(after))
        if answer.status_code != 200:
            raise Overloaded(f"HTTP {answer.status_code}")
        return GeneratedPicture(answer.content)

    def check(self) -> Health:
        """Always there."""
        return Health("http-images", "ok", self._url)
