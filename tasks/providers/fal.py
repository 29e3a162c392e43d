"""fal's queue, over plain HTTP: its SDK's ``submit`` sends a paid POST up to ten times and cannot be told not to.

What fal promises, by its documentation of November 2026 (https://fal.ai/docs): the status is asked for and the result
fetched below the first two parts of the model's name; the result of a job that failed is the model's own error, with
its status; it is kept for an hour, and for six minutes when it is longer than 10 KB. Errors of 500 and above are not
billed. ``x-fal-no-retry`` keeps fal itself from trying again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from tasks.core.errors import Account, Invalid, Lost, NoImage, Overloaded, RateLimited, Refused, StepError
from tasks.core.health import Health
from tasks.http_calls import Answer, HttpCaller, TokenAuth, checked_token
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest
from tasks.providers.delivered import delivered_picture, first_url, is_declared, json_object
from tasks.providers.fal_signature import JWKS_URL, FalKeys
from tasks.providers.http_errors import ErrorCodes, Unsuccessful, error_of
from tasks.providers.inputs import data_uri, json_fields, read_reference

BASE_URL = "https://queue.fal.run"

_SERVICE = "fal"
_ADDRESS = "the model's base_url in models.toml"
_WITHOUT_AN_APP_OF_ITS_OWN = frozenset({"workflows", "comfy"})
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_PIXELS = re.compile(r"(\d+)x(\d+)")

_CODES: ErrorCodes = {"content_policy_violation": Refused, "no_media_generated": NoImage}
"""https://fal.ai/docs/documentation/model-apis/errors; Nano Banana's no_media_generated often passes when repeated."""


class FalProvider:
    """``submit`` sends one POST; ``collect`` asks. One instance per process, for many threads.

    ``allow_private_urls``: pictures may be on this machine or in a private network. Raises ConfigurationError for a key
    that cannot be one.
    """

    name = "fal"
    capabilities: ClassVar = Capabilities(
        edit=True, seed=True, webhook=True, sizes=("aspect_ratio", "exact", "list"), formats=("jpeg", "png", "webp")
    )
    picture_hosts: ClassVar = ("fal.media",)

    def __init__(self, api_key: str | None, *, allow_private_urls: bool = False, jwks_url: str = JWKS_URL) -> None:
        self._has_key = api_key is not None
        self._allow_private = allow_private_urls
        self._keys = FalKeys(jwks_url)
        auth = TokenAuth("key", checked_token(api_key or "", "FAL_KEY"))
        self._paying = HttpCaller(_SERVICE, _ADDRESS, auth=auth, total_seconds=60.0, repeatable=False)
        self._asking = _Asking(_SERVICE, _ADDRESS, auth=auth, total_seconds=60.0)

    def submit(self, request: GenerationRequest, webhook_url: str | None) -> str:
        """Send the one paid request and return fal's ``request_id``.

        Raises Account without a key, NoImage for an answer that names no job, and what the answer calls for.
        """
        if not self._has_key:
            raise Account("fal needs a key; set FAL_KEY")
        url = f"{_base_url(request)}/{quote(_app_of(request))}"
        if webhook_url is not None:
            url += "?" + urlencode({"fal_webhook": webhook_url})
        answer = self._paying.call(
            "POST", url, _arguments(request), headers={"x-fal-no-retry": "1"}, at_most_seconds=request.deadline_seconds
        )
        if not _is_success(answer):
            raise error_of(_SERVICE, _unsuccessful(answer), _CODES)
        job_id = self.job_of(answer.body)
        if job_id is None:
            raise NoImage("fal answered and named no job")
        return job_id

    def collect(self, request: GenerationRequest, job_id: str, said: bytes | None) -> GeneratedPicture | None:
        """The picture of a job: from where a fitting webhook says that it is, else from where fal says on being asked.

        Raises Lost when fal does not know the job any more.
        """
        until = time.monotonic() + request.deadline_seconds
        url = self._said_url(job_id, said)
        if url is None:
            result = self._result(request, job_id, until)
            if result is None:
                return None
            url = _picture_url(result)
        if url is None:
            raise NoImage("fal reported success and sent no picture", trace_id=job_id)
        left = until - time.monotonic()
        data = delivered_picture(url, self.picture_hosts, allow_private=self._allow_private, seconds=left)
        return GeneratedPicture(data, trace_id=job_id)

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """See that fal has signed it. Raises Forged, ConfigurationError; StepError when fal's keys cannot be had."""
        self._keys.verify(headers, body, now)

    def job_of(self, body: bytes) -> str | None:
        """Its ``request_id``."""
        return _name_in(json_object(body) or {})

    def check(self) -> Health:
        """Look for a key; nothing is sent to fal."""
        if self._has_key:
            return Health(self.name, "ok", "key from FAL_KEY")
        return Health(self.name, "bad", "no key", "set FAL_KEY")

    def _said_url(self, job_id: str, said: bytes | None) -> str | None:
        """Where a webhook says that the picture is; ``None`` when it is to be asked for.

        A webhook's body may be without its payload (``payload_error``), about another job, or about a failure,
        whose status the result tells.
        """
        told = json_object(said) or {}
        if _name_in(told) != job_id or told.get("status") != "OK":
            return None
        url = _picture_url(told.get("payload"))
        fits = url is not None and is_declared(url, self.picture_hosts, allow_private=self._allow_private)
        return url if fits else None

    def _result(self, request: GenerationRequest, job_id: str, until: float) -> dict[str, Any] | None:
        """What has become of the job; ``None`` while fal is at work on it. Raises what it calls for."""
        job = f"{_base_url(request)}/{quote(_queue_of(request.model))}/requests/{quote(job_id, safe='')}"
        status = self._ask(f"{job}/status", until)
        if not _is_success(status):
            raise _unknown_or(status, job_id)
        said = (json_object(status.body) or {}).get("status")
        if said in {"IN_QUEUE", "IN_PROGRESS"}:
            return None
        if said != "COMPLETED":
            raise Overloaded("fal answered something else than a job's status")
        result = self._ask(job, until)
        if not _is_success(result):
            raise _ending(result, job_id)
        told = json_object(result.body)
        if told is None:
            raise Overloaded("fal's answer was cut, or comes from somebody else")
        return told

    def _ask(self, url: str, until: float) -> Answer:
        return self._asking.call("GET", url, at_most_seconds=until - time.monotonic())


class _Asking(HttpCaller):
    max_answer_bytes = 96 << 20  # with sync_mode the picture is inside


def _base_url(request: GenerationRequest) -> str:
    return request.endpoint.base_url.rstrip("/") if request.endpoint else BASE_URL


def _app_of(request: GenerationRequest) -> str:
    """The model's name, or with pictures to start from its sibling's, which fal calls ``edit``."""
    if not request.references:
        return request.model
    return request.model.removesuffix("/text-to-image").removesuffix("/edit") + "/edit"


def _queue_of(model: str) -> str:
    """What comes before ``/requests`` in a job's addresses. Raises Invalid for no name of a model."""
    parts = model.split("/")
    length = 3 if parts[0] in _WITHOUT_AN_APP_OF_ITS_OWN else 2
    if len(parts) < length:
        raise Invalid(f"{model!r} is no model of fal; write it like fal-ai/nano-banana-2")
    return "/".join(parts[:length])


def _arguments(request: GenerationRequest) -> dict[str, Any]:
    """The model's input. A size in pixels is an object to fal."""
    fields = {"prompt": request.prompt, **json_fields(request.parameters)}
    if pixels := _PIXELS.fullmatch(str(fields.get("image_size"))):
        fields["image_size"] = {"width": int(pixels[1]), "height": int(pixels[2])}
    if request.references:
        fields["image_urls"] = [data_uri(*read_reference(path)) for path in request.references]
    return fields


def _name_in(told: Mapping[str, Any]) -> str | None:
    """The job that a body names, if that can be part of an address."""
    name = told.get("request_id")
    return name if isinstance(name, str) and _NAME.fullmatch(name) else None


def _picture_url(payload: Any) -> str | None:
    return first_url(payload.get("images") or payload.get("image")) if isinstance(payload, dict) else None


def _is_success(answer: Answer) -> bool:
    return 200 <= answer.status < 300


def _unsuccessful(answer: Answer, job_id: str | None = None) -> Unsuccessful:
    """The structured names for the trouble: of the platform as ``error_type``, of a model in ``detail``."""
    told = json_object(answer.body) or {}
    detail = told.get("detail")
    parts = [part for part in detail if isinstance(part, dict)] if isinstance(detail, list) else []
    codes = [answer.headers.get("X-Fal-Error-Type"), told.get("error_type"), *(part.get("type") for part in parts)]
    message = detail if isinstance(detail, str) else "; ".join(str(part.get("msg")) for part in parts)
    return Unsuccessful(
        status=answer.status,
        codes=tuple(code for code in codes if isinstance(code, str) and code),
        message=message or answer.text,
        retry_after_seconds=answer.retry_after_seconds,
        trace_id=job_id,
    )


def _unknown_or(answer: Answer, job_id: str) -> StepError:
    """What it means that fal does not say what has become of a job."""
    if answer.status == 404:
        return Lost(f"fal does not know the job {job_id} any more", trace_id=job_id)
    return error_of(_SERVICE, _unsuccessful(answer, job_id), _CODES)


def _ending(answer: Answer, job_id: str) -> StepError:
    """The error with which a job has ended. One without any code is not the model's, but of whoever is in between.

    Whatever else the model's error may mean for the next job, this one will bring no picture.
    """
    told = _unsuccessful(answer, job_id)
    if not told.codes:
        return _unknown_or(answer, job_id)
    error = error_of(_SERVICE, told, _CODES)
    passing = isinstance(error, Overloaded | RateLimited) or answer.status >= 500
    return NoImage(str(error), trace_id=job_id) if passing else error
