"""A whole provider and the stand-in of its maker, to begin with: `.github/CONTRIBUTING.md` says how."""

from __future__ import annotations

import base64
import binascii
from typing import ClassVar

from tasks.core.errors import BadBytes, NoImage, Refused
from tasks.core.health import Health
from tasks.http_calls import HttpCaller, TokenAuth
from tasks.pictures.inspect import inspect
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest
from tasks.providers.http_errors import Unsuccessful, error_of
from tasks.providers.inputs import json_fields
from tests.stand_ins.anycap_api import paint
from tests.stand_ins.http_server import Reply, Request
from tests.stand_ins.maker_api import MakerApi, MakerFault

CODES = {"policy": Refused}
"""What this maker's own codes mean, where they say more than the status."""


class ExampleImages(HttpCaller):
    """``POST /pictures`` with model and prompt, answered with the picture: ``{"picture": base64, "id": …}``."""

    name = "example"
    capabilities: ClassVar = Capabilities(seed=True)
    max_answer_bytes = 96 << 20

    def __init__(self, api_key: str | None, url: str = "https://pictures.example.com") -> None:
        # Not repeatable: an answer that is lost may have been paid for.
        super().__init__("example", "EXAMPLE_KEY", auth=TokenAuth("bearer", api_key or ""), repeatable=False)
        self._url, self._has_key = url, bool(api_key)

    def generate(self, request: GenerationRequest) -> GeneratedPicture:
        """Buy one picture. Raises the StepError that the answer calls for."""
        body = {"model": request.model, "prompt": request.prompt, **json_fields(request.parameters)}
        answer = self.call("POST", f"{self._url}/pictures", body, at_most_seconds=request.deadline_seconds)
        told = answer.json() or {}
        if answer.status != 200:
            unsuccessful = Unsuccessful(
                answer.status, (str(told.get("code")),), answer.text, answer.retry_after_seconds
            )
            raise error_of("example", unsuccessful, CODES)
        if not told.get("picture"):
            raise NoImage("example reported success and sent no picture")
        try:
            data = base64.b64decode(told["picture"], validate=True)
        except binascii.Error as error:
            raise BadBytes("example's picture is no base64") from error
        inspect(data)
        return GeneratedPicture(data, trace_id=told.get("id"))

    def check(self) -> Health:
        """Look for a key; nothing is sent."""
        return Health(self.name, *(("ok", "key set") if self._has_key else ("bad", "no key", "set EXAMPLE_KEY")))


class ExampleApi(MakerApi):
    """The maker, with each fault in its own words."""

    STATUS: ClassVar = {
        MakerFault.RATE_LIMITED: 429,
        MakerFault.RATE_LIMITED_WITH_RETRY_AFTER: 429,
        MakerFault.SERVER_ERROR: 500,
        MakerFault.UNAVAILABLE: 503,
        MakerFault.REFUSED: 400,
        MakerFault.BAD_REQUEST: 400,
        MakerFault.UNKNOWN_MODEL: 404,
        MakerFault.BAD_KEY: 401,
        MakerFault.NO_CREDIT: 402,
    }

    def answer(self, request: Request) -> Reply:
        """Charge, and draw unless something goes wrong."""
        self.paid.append(request)
        fault, data = self.fault, paint(request.json()["prompt"], 64, 64)
        if fault in self.STATUS:
            wait = {"Retry-After": "7"} if fault is MakerFault.RATE_LIMITED_WITH_RETRY_AFTER else {}
            return Reply(self.STATUS[fault], {"code": "policy" if fault is MakerFault.REFUSED else "no"}, wait)
        if fault is MakerFault.NOT_JSON:
            return Reply(body="<html>Welcome</html>")
        sent = data[: len(data) // 2] if fault is MakerFault.TRUNCATED else data
        picture = "" if fault is MakerFault.NO_IMAGE else base64.b64encode(sent).decode()
        drip_seconds = 0.05 if fault is MakerFault.SLOW_BODY else 0.0
        dropped = fault in {MakerFault.DROPPED_BEFORE_CHARGE, MakerFault.DROPPED_AFTER_CHARGE}
        return Reply(body={"picture": picture, "id": "p-1"}, drip_seconds=drip_seconds, disconnect=dropped)
