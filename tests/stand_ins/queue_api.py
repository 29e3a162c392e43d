"""What the stand-ins of queues have in common: jobs that end, their pictures, and the webhooks they really send."""

from __future__ import annotations

import io
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import requests
from PIL import Image

from tests.stand_ins.http_server import Reply, Request
from tests.stand_ins.maker_api import MakerApi, MakerFault

AT_SUBMIT = frozenset(MakerFault) - {
    MakerFault.TRUNCATED,
    MakerFault.NO_IMAGE,
    MakerFault.WRONG_TYPE,
    MakerFault.REFUSED,
}
"""What goes wrong when the job is handed in; the rest is how a job ends."""


@dataclass
class QueueJob:
    """One job. ``fields`` is the model's input; ``fault`` is how it ends, ``None`` for well."""

    job_id: str
    model: str
    fields: dict[str, Any]
    webhook_url: str | None
    fault: MakerFault | None
    ended: bool = False


@dataclass(frozen=True)
class Webhook:
    """What is sent when a job has ended. ``headers`` have lower-case names."""

    headers: dict[str, str] = field(repr=False)
    body: bytes


class QueueApi(MakerApi):
    """A maker's queue. ``jobs`` are those taken on, by name; ``asked`` counts the questions about them.

    ``at_once``: jobs end as they are handed in, and else by :meth:`finish`. ``calls`` is how often a webhook is sent,
    0 for never; ``early``: before the answer to the submit has left; ``late_seconds`` after the end otherwise.
    ``ask_with`` answers every question about a job instead, while it is set. ``picture_base`` is where the answers say
    that pictures are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, QueueJob] = {}
        self.asked = 0
        self.at_once = True
        self.calls = 1
        self.early = False
        self.late_seconds = 0.0
        self.ask_with: Reply | None = None
        self.picture_base = self.url
        self._here = threading.local()

    def finish(self, job_id: str) -> None:
        """End a job, and send its webhook from a thread of its own."""
        with self.lock:
            self.jobs[job_id].ended = True
        threading.Thread(target=self._call, args=(self.jobs[job_id], self.late_seconds), daemon=True).start()

    def webhook(self, job_id: str, at: datetime | None = None) -> Webhook:
        """What is sent for a job, signed at that time, by default now. Subclasses build it."""
        raise NotImplementedError

    def reply_to(self, request: Request) -> Reply:
        """Answer; a job that was handed in ends now, or before the answer leaves, where it is to."""
        self._here.taken = None
        reply = super().reply_to(request)
        job: QueueJob | None = self._here.taken
        if job is not None and self.early:
            job.ended = True
            self._call(job, 0.0)
        elif job is not None and self.at_once:
            self.finish(job.job_id)
        return reply

    def take_on(self, model: str, fields: dict[str, Any], webhook_url: str | None) -> QueueJob:
        """A new job."""
        job_id = f"job-{len(self.jobs) + 1}"
        job = self.jobs[job_id] = self._here.taken = QueueJob(job_id, model, fields, webhook_url, self.fault)
        return job

    def picture_url(self, job: QueueJob) -> str:
        """Where the picture of a job is, or is said to be."""
        return f"{self.picture_base}/files/{job.job_id}.png"

    def picture(self, path: str) -> Reply:
        """The picture behind a path; ``.png`` says nothing of what it is."""
        job = self.jobs.get(path.removeprefix("/files/").removesuffix(".png"))
        if job is None:
            return Reply(404)
        data = painted("JPEG" if job.fault is MakerFault.WRONG_TYPE else "PNG")
        cut = len(data) // 2 if job.fault is MakerFault.TRUNCATED else len(data)
        return Reply(body=data[:cut], headers={"Content-Type": "image/png"})

    def _call(self, job: QueueJob, delay_seconds: float) -> None:
        self.pause(delay_seconds)
        for _ in range(self.calls if job.webhook_url else 0):
            hook = self.webhook(job.job_id)
            with suppress(requests.RequestException):  # a maker tries again later, which no test waits for
                requests.post(str(job.webhook_url), data=hook.body, headers=hook.headers, timeout=30)


def painted(kind: str) -> bytes:
    """A small whole picture."""
    buffer = io.BytesIO()
    Image.effect_noise((96, 96), 40).convert("RGB").save(buffer, kind)
    return buffer.getvalue()
