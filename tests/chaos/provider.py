"""The workers' side of the image maker: ``provider = "tests.chaos.provider:ChaosImages"``."""

from __future__ import annotations

import os
import threading

import requests
from urllib3.exceptions import NewConnectionError

from tasks.core.errors import Ambiguous, NoImage, NotSent, Overloaded, RateLimited, Refused
from tasks.core.health import Health
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest
from tests.chaos.maker import PRICE_USD_MICROS


class ChaosImages:
    """One paid POST for each picture, over a session per thread."""

    name = "chaos-images"
    capabilities = Capabilities()

    def __init__(self) -> None:
        self._local = threading.local()
        self._url = os.environ["MAKER_URL"]

    def generate(self, request: GenerationRequest) -> GeneratedPicture:
        """Make one picture. Raises StepError of the fitting class."""
        answer = self._post(request)
        if answer.status_code == 429:
            raise RateLimited("429", retry_after_seconds=float(answer.headers["Retry-After"]))
        if answer.status_code == 400:
            raise Refused("the prompt is against the content policy")
        if answer.status_code != 200:
            raise Overloaded(f"HTTP {answer.status_code}")
        if not answer.content:
            raise NoImage("an empty answer", cost_usd_micros=PRICE_USD_MICROS)
        return GeneratedPicture(answer.content, cost_usd_micros=PRICE_USD_MICROS)

    def _post(self, request: GenerationRequest) -> requests.Response:
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
        body = {"prompt": request.prompt, "request_id": request.request_id}
        try:
            return session.post(self._url, json=body, timeout=(5, request.deadline_seconds))
        except requests.RequestException as error:
            reason = getattr(error.args[0], "reason", None) if error.args else None
            if isinstance(reason, NewConnectionError):
                raise NotSent(str(error)) from error
            raise Ambiguous(f"no answer: {type(error).__name__}") from error

    def check(self) -> Health:
        """Always there."""
        return Health(self.name, "ok", self._url)
