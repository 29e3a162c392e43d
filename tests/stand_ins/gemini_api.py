"""A stand-in for Google's Gemini API: ``POST /v1beta/models/{model}:generateContent`` with ``x-goog-api-key``.

Shapes as google-genai 3.4.0 reads them and as its users' reports show them; nothing here was recorded live.
"""

from __future__ import annotations

import base64
import io
import re
from functools import cache
from typing import Any

from PIL import Image

from tests.stand_ins.http_server import Reply, Request
from tests.stand_ins.maker_api import MakerApi, MakerFault

KEY = "AIza-very-secret"
PER_DAY = "GenerateRequestsPerDayPerProjectPerModel"
PER_MINUTE = "GenerateRequestsPerMinutePerProjectPerModel"
USAGE: dict[str, Any] = {
    "promptTokenCount": 12,
    "candidatesTokenCount": 1120,
    "thoughtsTokenCount": 268,
    "totalTokenCount": 1400,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}],
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
}

_PATH = re.compile(r"/v1beta/models/[a-z0-9.-]+:generateContent")


@cache
def picture(kind: str = "png", side: int = 64, colour: str = "gold") -> bytes:
    """A square picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, kind)
    return buffer.getvalue()


def image_part(data: bytes, **more: Any) -> dict[str, Any]:
    """A part that holds a picture, called PNG whatever it is."""
    return {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(data).decode()}, **more}


def answer_of(*parts: dict[str, Any], reason: str = "STOP", **more: Any) -> dict[str, Any]:
    """A success answer with one candidate."""
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": reason, "index": 0}
    return {"candidates": [candidate], "usageMetadata": USAGE, "responseId": "resp-1", **more}


def error_of(code: int, status: str, *details: dict[str, Any]) -> dict[str, Any]:
    """An error's body, ``google.rpc.Status`` as JSON."""
    message = f"{status.lower()}, says the stand-in"
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def quota_failure(*quotas: str) -> dict[str, Any]:
    """Which quotas were exceeded."""
    metric = "generativelanguage.googleapis.com/generate_content_requests"
    violations = [{"quotaMetric": metric, "quotaId": quota, "quotaValue": "20"} for quota in quotas]
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}


def retry_info(delay: str) -> dict[str, Any]:
    """When to come again."""
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def error_info(reason: str) -> dict[str, Any]:
    """Why, in one word."""
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}


_NO_SUCH_SIZE = {
    "@type": "type.googleapis.com/google.rpc.BadRequest",
    "fieldViolations": [{"field": "generationConfig.imageConfig", "description": "no such size"}],
}
_FAULTY = {
    MakerFault.RATE_LIMITED: Reply(429, error_of(429, "RESOURCE_EXHAUSTED", quota_failure(PER_MINUTE))),
    MakerFault.RATE_LIMITED_WITH_RETRY_AFTER: Reply(
        429, error_of(429, "RESOURCE_EXHAUSTED", quota_failure(PER_MINUTE), retry_info("7s"))
    ),
    MakerFault.SERVER_ERROR: Reply(500, error_of(500, "INTERNAL")),
    MakerFault.UNAVAILABLE: Reply(503, error_of(503, "UNAVAILABLE")),
    MakerFault.DROPPED_BEFORE_CHARGE: Reply(disconnect=True),
    MakerFault.DROPPED_AFTER_CHARGE: Reply(disconnect=True),
    MakerFault.SLOW_BODY: Reply(body=answer_of(image_part(picture())), drip_seconds=0.05),
    MakerFault.TRUNCATED: Reply(body=answer_of(image_part(picture()[:-40]))),
    MakerFault.NO_IMAGE: Reply(body=answer_of(reason="NO_IMAGE")),
    MakerFault.WRONG_TYPE: Reply(body=answer_of(image_part(picture("jpeg")))),
    MakerFault.NOT_JSON: Reply(body="<html>one moment, please</html>"),
    MakerFault.REFUSED: Reply(body=answer_of(reason="IMAGE_SAFETY")),
    MakerFault.BAD_REQUEST: Reply(400, error_of(400, "INVALID_ARGUMENT", _NO_SUCH_SIZE)),
    MakerFault.UNKNOWN_MODEL: Reply(404, error_of(404, "NOT_FOUND")),
    MakerFault.BAD_KEY: Reply(400, error_of(400, "INVALID_ARGUMENT", error_info("API_KEY_INVALID"))),
    MakerFault.NO_CREDIT: Reply(402, error_of(402, "RESOURCE_EXHAUSTED")),
}


class GeminiApi(MakerApi):
    """``reply`` takes the place of every answer while it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.reply: Reply | None = None

    def answer(self, request: Request) -> Reply:
        """Refuse what Google would refuse before anything is drawn, or charge and draw."""
        if request.method != "POST" or not _PATH.fullmatch(request.path):
            return _FAULTY[MakerFault.UNKNOWN_MODEL]
        self.paid.append(request)
        if request.headers["x-goog-api-key"] != KEY:
            return _FAULTY[MakerFault.BAD_KEY]
        return self.reply or (_FAULTY[self.fault] if self.fault else Reply(body=answer_of(image_part(picture()))))
