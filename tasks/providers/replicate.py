"""Replicate: predictions are bought through its official SDK and asked for plainly.

What it promises, by its documentation of November 2026 (https://replicate.com/docs): a prediction goes from
``starting`` and ``processing`` to ``succeeded``, ``failed``, ``canceled`` or ``aborted``, the last of which is not
billed; its output is deleted after an hour; webhooks are signed by the Standard Webhooks specification.
"""

from __future__ import annotations

import importlib.util
import re
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote

from tasks.core.errors import Account, Lost, NoImage, Overloaded, Refused, StepError
from tasks.core.health import Health
from tasks.core.redaction import conceal
from tasks.core.standard_webhooks import verify
from tasks.http_calls import Answer, HttpCaller, TokenAuth, checked_token
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest
from tasks.providers.deadline import Deadline
from tasks.providers.delivered import delivered_picture, first_url, is_declared, json_object
from tasks.providers.http_errors import Unsuccessful, brief, error_of
from tasks.providers.inputs import json_fields
from tasks.providers.replicate_client import INSTALL, ReplicateClient

BASE_URL = "https://api.replicate.com"

_SERVICE = "Replicate"
_AT_WORK = frozenset({"starting", "processing"})
_ENDED = frozenset({"succeeded", "failed", "canceled", "aborted"})
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_CODE = re.compile(r"\((E\d{3,4})\)")
_FLAGGED = "E005"
"""The official models' code for content that was flagged, in parentheses at the end of their errors."""


class ReplicateProvider:
    """``submit`` sends one POST, after the uploads of reference pictures; ``collect`` asks. For many threads.

    ``webhook_secret`` is the account's; without it Replicate is asked for it once. ``base_url`` is the API's, for
    models without an ``endpoint`` and for that question. ``allow_private_urls``: pictures may be on this machine or in
    a private network. Raises ConfigurationError for a token that cannot be one.
    """

    name = "replicate"
    capabilities: ClassVar = Capabilities(
        edit=True, seed=True, webhook=True, sizes=("aspect_ratio", "exact", "list"), formats=("jpeg", "png", "webp")
    )
    picture_hosts: ClassVar = ("replicate.delivery",)

    def __init__(
        self,
        api_token: str | None,
        *,
        webhook_secret: str | None = None,
        base_url: str = BASE_URL,
        allow_private_urls: bool = False,
    ) -> None:
        self._token = checked_token(api_token or "", "REPLICATE_API_TOKEN")
        self._secret = webhook_secret
        self._base_url = base_url
        self._allow_private = allow_private_urls
        auth = TokenAuth("bearer", self._token)
        self._asking = HttpCaller(_SERVICE, "the model's base_url in models.toml", auth=auth, total_seconds=60.0)
        self._clients: dict[str, ReplicateClient] = {}
        self._lock = threading.Lock()

    def submit(self, request: GenerationRequest, webhook_url: str | None) -> str:
        """Send the one paid request and return the prediction's id.

        Raises Account without a token or the SDK, NoImage for an answer that names no prediction, and what the answer
        calls for.
        """
        if not self._token:
            raise Account("Replicate needs a token; set REPLICATE_API_TOKEN")
        client = self._client(_base_url(request, self._base_url))
        until = time.monotonic() + request.deadline_seconds
        fields = {"prompt": request.prompt, **json_fields(request.parameters)}
        if request.references:
            fields["image_input"] = [client.upload(path, _until(until)) for path in request.references]
        return client.predict(request.model, fields, webhook_url, _until(until))

    def collect(self, request: GenerationRequest, job_id: str, said: bytes | None) -> GeneratedPicture | None:
        """The picture of a prediction: by a fitting webhook, else by what Replicate says on being asked.

        Raises Lost when Replicate does not know the prediction any more, or has deleted the picture.
        """
        until = time.monotonic() + request.deadline_seconds
        prediction = self._told(job_id, said) or self._asked(request, job_id, until)
        if prediction.get("status") in _AT_WORK:
            return None
        url = _picture_url(prediction)
        left = until - time.monotonic()
        data = delivered_picture(url, self.picture_hosts, allow_private=self._allow_private, seconds=left)
        return GeneratedPicture(data, trace_id=job_id)

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """See that Replicate has signed it. Raises Forged; StepError when the secret is not set and cannot be had."""
        verify(self._webhook_secret(), headers, body, now)

    def job_of(self, body: bytes) -> str | None:
        """Its ``id``."""
        name = (json_object(body) or {}).get("id")
        return name if isinstance(name, str) and _ID.fullmatch(name) else None

    def check(self) -> Health:
        """Look for the SDK and a token; nothing is sent to Replicate."""
        if importlib.util.find_spec("replicate") is None:
            return Health(self.name, "bad", "the replicate SDK is not installed", INSTALL)
        if not self._token:
            return Health(self.name, "bad", "no token", "set REPLICATE_API_TOKEN")
        return Health(self.name, "ok", "token from REPLICATE_API_TOKEN")

    def _client(self, base_url: str) -> ReplicateClient:
        with self._lock:
            if base_url not in self._clients:
                self._clients[base_url] = ReplicateClient(self._token, base_url)
            return self._clients[base_url]

    def _told(self, job_id: str, said: bytes | None) -> dict[str, Any] | None:
        """The prediction as a webhook has it; ``None`` for another, one that goes on, or a picture at a stranger's."""
        told = json_object(said) or {}
        if told.get("id") != job_id or told.get("status") not in _ENDED:
            return None
        if told["status"] == "succeeded":
            url = first_url(told.get("output"))
            if url is None or not is_declared(url, self.picture_hosts, allow_private=self._allow_private):
                return None
        return told

    def _asked(self, request: GenerationRequest, job_id: str, until: float) -> dict[str, Any]:
        """The prediction as Replicate has it now. Raises what it means that it cannot be had."""
        url = f"{_base_url(request, self._base_url)}/v1/predictions/{quote(job_id, safe='')}"
        answer = self._asking.call("GET", url, at_most_seconds=until - time.monotonic())
        if answer.status == 404:
            raise Lost(f"Replicate does not know the prediction {job_id} any more", trace_id=job_id)
        prediction = _told_by(answer)
        if prediction.get("status") not in _AT_WORK | _ENDED:
            raise Overloaded("Replicate answered something else than a prediction")
        return prediction

    def _webhook_secret(self) -> str:
        with self._lock:
            if self._secret is None:
                answer = self._asking.call("GET", f"{self._base_url}/v1/webhooks/default/secret", at_most_seconds=5.0)
                secret = _told_by(answer).get("key")
                if not isinstance(secret, str):
                    raise Overloaded("Replicate answered something else than the secret of its webhooks")
                conceal({secret})
                self._secret = secret
            return self._secret


def _base_url(request: GenerationRequest, usual: str) -> str:
    return request.endpoint.base_url.rstrip("/") if request.endpoint else usual


def _until(moment: float) -> Deadline:
    return Deadline(max(moment - time.monotonic(), 0.0))


def _told_by(answer: Answer) -> dict[str, Any]:
    """The object of a success answer, empty for another body. Raises what an answer that is none calls for."""
    told = json_object(answer.body) or {}
    if 200 <= answer.status < 300:
        return told
    message = str(told.get("detail") or answer.text)
    raise error_of(
        _SERVICE, Unsuccessful(answer.status, message=message, retry_after_seconds=answer.retry_after_seconds), {}
    )


def _picture_url(prediction: dict[str, Any]) -> str:
    """Where the picture of a prediction that has ended is. Raises what its end calls for."""
    job_id = str(prediction.get("id"))
    if prediction["status"] != "succeeded":
        raise _ending(prediction, job_id)
    url = first_url(prediction.get("output"))
    if url is not None:
        return url
    if prediction.get("data_removed"):
        raise Lost("Replicate has deleted the picture: it was not fetched within the hour", trace_id=job_id)
    raise NoImage("Replicate reported success and sent no picture", trace_id=job_id)


def _ending(prediction: dict[str, Any], job_id: str) -> StepError:
    """The error of a prediction that came to nothing.

    The only code that there is stands in its text. Without one a failure may be of a moment or of the request; as
    NoImage it is tried again, but no more than twice.
    """
    status, reason = prediction["status"], str(prediction.get("error") or "no reason given")
    if _FLAGGED in _CODE.findall(reason):
        return Refused(f"Replicate refused ({_FLAGGED}): {brief(reason)}; change the prompt", trace_id=job_id)
    cost = 0 if status == "aborted" else None
    return NoImage(f"the prediction ended as {status}: {brief(reason)}", cost_usd_micros=cost, trace_id=job_id)
