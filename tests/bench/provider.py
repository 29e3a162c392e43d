"""The benchmark's provider: one POST to the benchmark's image server, over a session per thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from datetime import datetime

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
        answer = _session(self._local).post(
            self._url, json={"prompt": request.prompt}, timeout=(5, request.deadline_seconds)
        )
        if answer.status_code == 429:
            after = answer.headers.get("Retry-After")
            raise RateLimited("429", retry_after_seconds=None if after is None else float(after))
        if answer.status_code != 200:
            raise Overloaded(f"HTTP {answer.status_code}")
        return GeneratedPicture(answer.content)

    def check(self) -> Health:
        """Always there."""
        return Health("http-images", "ok", self._url)


def _session(local: threading.local) -> requests.Session:
    """The thread's own."""
    if not hasattr(local, "session"):
        local.session = requests.Session()
    session: requests.Session = local.session
    return session


class CalledImages:
    """The same server, which takes a job on and calls: ``tests.bench.provider:CalledImages``."""

    name = "called-images"
    capabilities = Capabilities(webhook=True)

    def __init__(self) -> None:
        self._local = threading.local()
        self._url = os.environ["IMAGE_API_URL"].removesuffix("/images")

    def submit(self, request: GenerationRequest, webhook_url: str | None) -> str:
        """One paid POST."""
        session, body = _session(self._local), {"prompt": request.prompt}
        session.post(f"{self._url}/jobs", params={"webhook": webhook_url}, json=body, timeout=30).raise_for_status()
        return request.request_id

    def collect(self, request: GenerationRequest, job_id: str, said: bytes | None) -> GeneratedPicture | None:
        """Ready when it has called."""
        return GeneratedPicture(_session(self._local).get(f"{self._url}/picture", timeout=30).content) if said else None

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """The signed path is all that there is."""

    def job_of(self, body: bytes) -> str | None:
        """It does not say."""

    def check(self) -> Health:
        """Always there."""
        return Health(self.name, "ok", self._url)
