"""Preview's cards from a provider that answers later, so that the whole way of a job can be walked offline."""

from __future__ import annotations

import heapq
import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import requests

from tasks.core.health import Health
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest
from tasks.providers.preview import PreviewProvider

logger = logging.getLogger(__name__)

_CALL_SECONDS = 10.0


class PreviewAsyncProvider:
    """Draws what ``preview`` draws, ``answer_seconds`` (a parameter of the model) after it was asked.

    A job's name says when it will be ready, so nothing has to be remembered. The webhook comes from a thread of the
    process that submitted: when that dies the call is lost, and the card is found by asking.
    """

    name = "preview_async"
    capabilities = Capabilities(webhook=True, sizes=("any",), formats=("jpeg",))

    def __init__(self, *, font_file: Path) -> None:
        self._preview = PreviewProvider(font_file=font_file)
        self._caller = _Caller()

    def submit(self, request: GenerationRequest, webhook_url: str | None) -> str:
        """Take a job on."""
        ready_at = time.time() + float(request.parameters.get("answer_seconds", "0"))
        job_id = f"{ready_at:.3f}-{request.request_id}"
        if webhook_url is not None:
            self._caller.call(ready_at, webhook_url, json.dumps({"job_id": job_id}).encode())
        return job_id

    def collect(self, request: GenerationRequest, job_id: str, said: bytes | None) -> GeneratedPicture | None:  # noqa: ARG002 – a card needs no more
        """The card, once its time has come. Raises Account when the font cannot be read."""
        ready_at = float(job_id.partition("-")[0])
        return self._preview.generate(request) if time.time() >= ready_at else None

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """The signed path of its webhooks is all there is to check."""

    def job_of(self, body: bytes) -> str | None:
        """As it says."""
        try:
            job_id = json.loads(body)["job_id"]
        except (ValueError, KeyError, TypeError):
            return None
        return str(job_id)

    def check(self) -> Health:
        """Ready when the font is there."""
        return replace(self._preview.check(), component=self.name)


class _Caller:
    """One thread for all webhooks of a process, started with the first."""

    def __init__(self) -> None:
        self._due: list[tuple[float, str, bytes]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def call(self, at: float, url: str, body: bytes) -> None:
        with self._changed:
            heapq.heappush(self._due, (at, url, body))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="preview-webhooks", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        with requests.Session() as session:
            while True:
                url, body = self._next()
                try:
                    session.post(url, data=body, timeout=_CALL_SECONDS, allow_redirects=False)
                except requests.RequestException as error:
                    logger.warning("a webhook of preview_async was not delivered: %s", type(error).__name__)

    def _next(self) -> tuple[str, bytes]:
        with self._changed:
            while not self._due or self._due[0][0] > time.time():
                self._changed.wait(self._due[0][0] - time.time() if self._due else None)
            _at, url, body = heapq.heappop(self._due)
            return url, body
