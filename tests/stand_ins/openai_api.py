"""OpenAI's image API and BytePlus Ark's, which is like it: shapes, codes and headers as their references tell them.

OpenAI answers under ``/v1`` with base64 and usage; it takes no ``seed`` and no ``response_format``, and reference
pictures as files of a form. Ark answers under ``/api/v3`` with a URL or base64, and takes reference pictures in the
JSON; it draws a watermark unless it is told not to.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from email import message_from_bytes
from email.policy import HTTP
from typing import Any

from PIL import Image

from tests.stand_ins.http_server import Reply, Request
from tests.stand_ins.maker_api import MakerApi, MakerFault

USAGE = {
    "input_tokens": 340,
    "input_tokens_details": {"image_tokens": 323, "text_tokens": 17},
    "output_tokens": 1056,
    "total_tokens": 1396,
}
"""Of each of OpenAI's answers."""
COST_USD_MICROS = 17 * 5 + 323 * 8 + 1056 * 30
"""What that costs at 5 dollars for a million tokens of text, 8 for those of pictures, and 30 for what is drawn."""

_ARK_LEAST_PIXELS = 3_686_400
_UNKNOWN_TO_OPENAI = ("seed", "response_format", "watermark")

_Told = tuple[int, str | None, str]  # status, code, type

_OPENAI_ERRORS: dict[MakerFault, _Told] = {
    MakerFault.RATE_LIMITED: (429, "rate_limit_exceeded", "requests"),
    MakerFault.RATE_LIMITED_WITH_RETRY_AFTER: (429, "rate_limit_exceeded", "requests"),
    MakerFault.SERVER_ERROR: (500, None, "server_error"),
    MakerFault.UNAVAILABLE: (503, "server_is_overloaded", "service_unavailable_error"),
    MakerFault.REFUSED: (400, "moderation_blocked", "image_generation_user_error"),
    MakerFault.BAD_REQUEST: (400, "invalid_value", "image_generation_user_error"),
    MakerFault.UNKNOWN_MODEL: (404, "model_not_found", "invalid_request_error"),
    MakerFault.BAD_KEY: (401, "invalid_api_key", "invalid_request_error"),
    MakerFault.NO_CREDIT: (429, "insufficient_quota", "insufficient_quota"),
}
_ARK_ERRORS: dict[MakerFault, _Told] = {
    MakerFault.RATE_LIMITED: (429, "ModelAccountIpmRateLimitExceeded", "TooManyRequests"),
    MakerFault.RATE_LIMITED_WITH_RETRY_AFTER: (429, "RateLimitExceeded.EndpointRPMExceeded", "TooManyRequests"),
    MakerFault.SERVER_ERROR: (500, "InternalServiceError", "InternalServerError"),
    MakerFault.UNAVAILABLE: (429, "ServerOverloaded", "TooManyRequests"),
    MakerFault.REFUSED: (400, "InputTextSensitiveContentDetected.PolicyViolation", "BadRequest"),
    MakerFault.BAD_REQUEST: (400, "InvalidParameter", "BadRequest"),
    MakerFault.UNKNOWN_MODEL: (404, "InvalidEndpointOrModel.NotFound", "NotFound"),
    MakerFault.BAD_KEY: (401, "AuthenticationError", "Unauthorized"),
    MakerFault.NO_CREDIT: (403, "AccountOverdueError", "Forbidden"),
}


class OpenAIApi(MakerApi):
    """Both APIs on one server: base URLs :attr:`openai_url` and :attr:`ark_url`.

    ``first_download`` says how the first download of a picture goes wrong. ``reply`` replaces the paid answers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reply: Reply | None = None
        self.first_download: Callable[[bytes], Reply] | None = None
        self._pictures: dict[str, bytes] = {}

    @property
    def openai_url(self) -> str:
        """For OPENAI_BASE_URL."""
        return f"{self.url}/v1"

    @property
    def ark_url(self) -> str:
        """For an endpoint's ``base_url``."""
        return f"{self.url}/api/v3"

    def answer(self, request: Request) -> Reply:
        """A picture, or what goes wrong."""
        if request.method == "GET":
            return self._download(request.path)
        self.paid.append(request)
        ark = request.path.startswith("/api/v3/")
        if self.reply is not None:
            return self.reply
        if request.path not in {"/v1/images/generations", "/v1/images/edits", "/api/v3/images/generations"}:
            return Reply(404, {"error": {"message": f"Invalid URL (POST {request.path})", "code": None}})
        return self._fault(ark=ark) or _wrong_field(fields_of(request), ark=ark) or self._picture(request, ark=ark)

    def _fault(self, *, ark: bool) -> Reply | None:
        fault = self.fault
        if fault in (MakerFault.DROPPED_BEFORE_CHARGE, MakerFault.DROPPED_AFTER_CHARGE):
            return Reply(disconnect=True)
        if fault is MakerFault.NOT_JSON:
            return Reply(body="<html>Welcome to our wireless network</html>", headers={"Content-Type": "text/html"})
        told = (_ARK_ERRORS if ark else _OPENAI_ERRORS).get(fault) if fault else None
        if told is None:
            return None
        wait = {"Retry-After": "7"} if fault is MakerFault.RATE_LIMITED_WITH_RETRY_AFTER else {}
        return error(*told, headers=wait)

    def _picture(self, request: Request, *, ark: bool) -> Reply:
        """A success, with the faults that a success may have."""
        fields = fields_of(request)
        data = _drawn(str(fields.get("size", "64x64")), "JPEG" if self.fault is MakerFault.WRONG_TYPE else "PNG")
        by_url = ark and fields.get("response_format") != "b64_json"
        one = {"url": self._kept(data)} if by_url else {"b64_json": base64.b64encode(self._cut(data)).decode()}
        pictures = [] if self.fault is MakerFault.NO_IMAGE else [one]
        body: dict[str, Any] = {"created": 1_790_000_000, "data": pictures, "output_format": "png", "usage": USAGE}
        if ark:
            body = {"model": fields["model"], "created": 1_790_000_000, "data": pictures, "usage": _ark_usage()}
        slow = 0.05 if self.fault is MakerFault.SLOW_BODY else 0.0
        return Reply(body=body, headers={"x-request-id": f"req_{len(self.paid)}"}, drip_seconds=slow)

    def _kept(self, data: bytes) -> str:
        path = f"/files/{len(self._pictures)}.png"
        self._pictures[path] = data
        return f"{self.url}{path}?sig=secret"

    def _download(self, path: str) -> Reply:
        data = self._pictures[path.partition("?")[0]]
        first = sum(one.path == path for one in self.requests) == 1
        return self.first_download(data) if self.first_download and first else Reply(body=self._cut(data))

    def _cut(self, data: bytes) -> bytes:
        return data[: len(data) // 2] if self.fault is MakerFault.TRUNCATED else data


def error(status: int, code: str | None, kind: str, headers: dict[str, str] | None = None) -> Reply:
    """An error in the form that both have."""
    told = {"message": f"no: {code}", "type": kind, "param": None, "code": code}
    return Reply(status, {"error": told}, {"x-request-id": "req_failed", **(headers or {})})


def fields_of(request: Request) -> dict[str, Any]:
    """The fields of a request, of JSON or of a form; a form's files are (name, content type, bytes), in a list."""
    if request.headers.get_content_type() == "application/json":
        fields: dict[str, Any] = json.loads(request.body)
        return fields
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    found: dict[str, Any] = {}
    for part in message_from_bytes(head + request.body, policy=HTTP).walk():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            if part.get_filename():
                found.setdefault(name, []).append((part.get_filename(), part.get_content_type(), payload))
            else:
                found[name] = payload.decode()
    return found


def _wrong_field(fields: dict[str, Any], *, ark: bool) -> Reply | None:
    """Refuse what the real ones refuse."""
    if not ark and (unknown := [name for name in _UNKNOWN_TO_OPENAI if name in fields]):
        return error(400, "unknown_parameter", f"invalid_request_error {unknown}")
    width, _, height = str(fields.get("size", "")).partition("x")
    if ark and height and int(width) * int(height) < _ARK_LEAST_PIXELS:
        return error(400, "InvalidParameter", "BadRequest")
    return None


def _ark_usage() -> dict[str, int]:
    return {"generated_images": 1, "output_tokens": 16384, "total_tokens": 16384}


def _drawn(size: str, form: str) -> bytes:
    buffer = io.BytesIO()
    width, height = (int(part) for part in size.split("x"))
    Image.new("RGB", (width, height), "teal").save(buffer, form)
    return buffer.getvalue()
