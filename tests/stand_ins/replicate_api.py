"""A stand-in for Replicate: its predictions, its files, and its webhooks signed as Standard Webhooks."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook as Signer

from tests.stand_ins.http_server import Reply, Request
from tests.stand_ins.maker_api import MakerFault
from tests.stand_ins.queue_api import AT_SUBMIT, QueueApi, QueueJob, Webhook

TOKEN = "r8_replicate_token"


def _problem(status: int, detail: str, title: str = "", **headers: str) -> Reply:
    return Reply(status, {"title": title, "detail": detail, "status": status}, headers)


_SUBMIT_FAULTS = {
    MakerFault.RATE_LIMITED: _problem(429, "Request was throttled. Your rate limit resets in ~30s."),
    MakerFault.RATE_LIMITED_WITH_RETRY_AFTER: _problem(429, "Request was throttled.", **{"Retry-After": "7"}),
    MakerFault.SERVER_ERROR: _problem(500, "Internal server error"),
    MakerFault.UNAVAILABLE: _problem(503, "Service unavailable"),
    MakerFault.DROPPED_BEFORE_CHARGE: Reply(disconnect=True),
    MakerFault.DROPPED_AFTER_CHARGE: Reply(disconnect=True),
    MakerFault.SLOW_BODY: Reply(body="x" * 500, drip_seconds=0.1),
    MakerFault.NOT_JSON: Reply(body="<html>Welcome to our wireless network</html>"),
    MakerFault.BAD_REQUEST: _problem(422, "- input.aspect_ratio must be one of …", "Input validation failed"),
    MakerFault.UNKNOWN_MODEL: _problem(404, "The requested resource could not be found."),
    MakerFault.BAD_KEY: _problem(401, "You did not pass a valid authentication token", "Unauthenticated"),
    MakerFault.NO_CREDIT: _problem(402, "You have insufficient credit to run this model.", "Insufficient credit"),
}
_FLAGGED = "The input or output was flagged as sensitive. Please try again with different inputs. (E005) (uIJ6l3ruRD)"


class ReplicateApi(QueueApi):
    """``ending`` is laid over predictions that have ended, while it is set. ``secret`` signs the webhooks."""

    def __init__(self) -> None:
        super().__init__()
        self.ending: dict[str, Any] | None = None
        self.secret = "whsec_" + base64.b64encode(b"the account's own key").decode()
        self.uploads: list[Request] = []

    def answer(self, request: Request) -> Reply:
        """As Replicate does."""
        path = urlsplit(request.path).path
        if path.startswith("/files/"):
            return self.picture(path)
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            return _SUBMIT_FAULTS[MakerFault.BAD_KEY]
        if path == "/v1/webhooks/default/secret":
            return Reply(body={"key": self.secret})
        if path == "/v1/files":
            return self._uploaded(request)
        return self._submitted(request, path) if request.method == "POST" else self._told(path)

    def webhook(self, job_id: str, at: datetime | None = None) -> Webhook:
        """Signed as Replicate signs."""
        body = json.dumps(self._prediction(self.jobs[job_id])).encode()
        at = at or datetime.now(UTC)
        signature = Signer(self.secret).sign(f"msg_{job_id}", at, body.decode())
        headers = {
            "webhook-id": f"msg_{job_id}",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": f"v1,bm90IHRoaXM= {signature}",
        }
        return Webhook(headers, body)

    def _uploaded(self, request: Request) -> Reply:
        self.uploads.append(request)
        name = f"file-{len(self.uploads)}"
        told = dict.fromkeys(("name", "content_type", "etag", "created_at"), "") | {"id": name, "size": 1}
        told |= {"checksums": {}, "metadata": {}, "expires_at": None, "urls": {"get": f"{self.url}/v1/files/{name}"}}
        return Reply(201, told)

    def _submitted(self, request: Request, path: str) -> Reply:
        self.paid.append(request)
        if self.fault in AT_SUBMIT:
            return _SUBMIT_FAULTS[self.fault]
        sent = request.json()
        model = sent.get("version") or path.removeprefix("/v1/models/").removesuffix("/predictions")
        job = self.take_on(model, sent["input"], sent.get("webhook"))
        return Reply(201, self._prediction(job))

    def _told(self, path: str) -> Reply:
        self.asked += 1
        if self.ask_with is not None:
            return self.ask_with
        job = self.jobs.get(path.removeprefix("/v1/predictions/"))
        return Reply(body=self._prediction(job)) if job else _SUBMIT_FAULTS[MakerFault.UNKNOWN_MODEL]

    def _prediction(self, job: QueueJob) -> dict[str, Any]:
        told: dict[str, Any] = {"id": job.job_id, "model": job.model, "version": "hidden", "input": job.fields}
        told |= {"status": "starting", "output": None, "error": None, "logs": "", "created_at": "2026-11-22T00:00:00Z"}
        if not job.ended:
            return told
        if job.fault is MakerFault.REFUSED:
            return told | {"status": "failed", "error": _FLAGGED}
        output = [] if job.fault is MakerFault.NO_IMAGE else [self.picture_url(job)]
        return told | {"status": "succeeded", "output": output} | (self.ending or {})
