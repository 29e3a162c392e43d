"""A stand-in for fal: its queue, its files, its public keys, and its webhooks signed with Ed25519."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.stand_ins.http_server import Reply, Request
from tests.stand_ins.maker_api import MakerFault
from tests.stand_ins.queue_api import AT_SUBMIT, QueueApi, QueueJob, Webhook

KEY = "fal-key-id:fal-key-secret"

_SUBMIT_FAULTS = {
    MakerFault.RATE_LIMITED: Reply(429, {"detail": "Too many requests"}),
    MakerFault.RATE_LIMITED_WITH_RETRY_AFTER: Reply(429, {"detail": "Too many requests"}, {"Retry-After": "7"}),
    MakerFault.SERVER_ERROR: Reply(500, {"detail": "oops", "error_type": "internal_error"}),
    MakerFault.UNAVAILABLE: Reply(503, {"detail": "Service unavailable"}),
    MakerFault.DROPPED_BEFORE_CHARGE: Reply(disconnect=True),
    MakerFault.DROPPED_AFTER_CHARGE: Reply(disconnect=True),
    MakerFault.SLOW_BODY: Reply(body="x" * 500, drip_seconds=0.1),
    MakerFault.NOT_JSON: Reply(body="<html>Welcome to our wireless network</html>"),
    MakerFault.BAD_REQUEST: Reply(400, {"detail": "invalid timeout", "error_type": "bad_request"}),
    MakerFault.UNKNOWN_MODEL: Reply(404, {"detail": "Application 'nano-banana-9' not found"}),
    MakerFault.BAD_KEY: Reply(401, {"detail": "Invalid Key Authorization header format"}),
    MakerFault.NO_CREDIT: Reply(403, {"detail": "User is locked. Reason: Exhausted balance."}),
}
_REFUSAL = {"loc": ["body", "prompt"], "msg": "flagged by a content checker", "type": "content_policy_violation"}


class FalApi(QueueApi):
    """``ending`` is a model's answer with which jobs end instead, ``keys_with`` one in place of the public keys."""

    def __init__(self) -> None:
        super().__init__()
        self.ending: Reply | None = None
        self.keys_with: Reply | None = None
        self.renew_key()

    def renew_key(self) -> None:
        """Sign with another key from now on, and publish it in place of the one before."""
        self._key = Ed25519PrivateKey.generate()

    @property
    def jwks_url(self) -> str:
        """Where the public key is."""
        return f"{self.url}/.well-known/jwks.json"

    def answer(self, request: Request) -> Reply:
        """As fal does."""
        path = urlsplit(request.path).path
        if path.startswith("/.well-known/"):
            return self.keys_with or Reply(
                body={"keys": [{"kty": "OKP", "crv": "Ed25519", "x": self._public()}, {"kty": "RSA"}]}
            )
        if path.startswith("/files/"):
            return self.picture(path)
        if request.headers["Authorization"] != f"Key {KEY}":
            return _SUBMIT_FAULTS[MakerFault.BAD_KEY]
        return self._submitted(request, path) if request.method == "POST" else self._told(path)

    def webhook(self, job_id: str, at: datetime | None = None) -> Webhook:
        """Signed as fal signs."""
        job = self.jobs[job_id]
        result = self._result(job)
        told: dict[str, Any] = {"request_id": job_id, "gateway_request_id": f"{job_id}-gateway", "status": "OK"}
        if result.status != 200:
            told |= {"status": "ERROR", "error": f"Unexpected status code: {result.status}"}
        body = json.dumps(told | {"payload": result.body}).encode()
        return Webhook(self._signed(job_id, body, at or datetime.now(UTC)), body)

    def _signed(self, job_id: str, body: bytes, at: datetime) -> dict[str, str]:
        parts = [job_id, "user-7", str(int(at.timestamp()))]
        message = "\n".join([*parts, hashlib.sha256(body).hexdigest()]).encode()
        names = ("request-id", "user-id", "timestamp", "signature")
        values = [*parts, self._key.sign(message).hex()]
        return {f"x-fal-webhook-{name}": value for name, value in zip(names, values, strict=True)}

    def _public(self) -> str:
        return base64.urlsafe_b64encode(self._key.public_key().public_bytes_raw()).decode().rstrip("=")

    def _submitted(self, request: Request, path: str) -> Reply:
        self.paid.append(request)
        if self.fault in AT_SUBMIT:
            return _SUBMIT_FAULTS[self.fault]
        webhook = parse_qs(urlsplit(request.path).query).get("fal_webhook", [None])[0]
        job = self.take_on(path.removeprefix("/"), request.json(), webhook)
        return Reply(body={"request_id": job.job_id, "gateway_request_id": job.job_id, "status": "IN_QUEUE"})

    def _told(self, path: str) -> Reply:
        self.asked += 1
        if self.ask_with is not None:
            return self.ask_with
        _owner, _app, _requests, job_id, *rest = path.removeprefix("/").split("/")
        job = self.jobs.get(job_id)
        if job is None:
            return Reply(404, {"detail": "Request not found"})
        if rest == ["status"]:
            return Reply(body={"status": "COMPLETED"}) if job.ended else Reply(202, {"status": "IN_QUEUE"})
        return self._result(job)

    def _result(self, job: QueueJob) -> Reply:
        """What the model answered: a success, or its own error."""
        if self.ending is not None:
            return self.ending
        if job.fault is MakerFault.REFUSED:
            return Reply(422, {"detail": [_REFUSAL]}, {"X-Fal-Retryable": "false"})
        image = {"url": self.picture_url(job), "content_type": "image/png", "width": 96, "height": 96}
        return Reply(body={"images": [] if job.fault is MakerFault.NO_IMAGE else [image], "description": ""})
