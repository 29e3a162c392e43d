"""A maker that takes jobs on and calls when they are done: early, twice, late, never or as it should."""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from urllib.parse import parse_qs, urlsplit

import requests

from tasks.core.errors import Ambiguous, NotSent, RateLimited, Refused
from tasks.core.health import Health
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest
from tests.stand_ins.anycap_api import paint
from tests.stand_ins.http_server import Reply, Request, StandIn


class Manner(Enum):
    """How one job goes. ``REFUSED`` ends without a picture; ``LOST`` is taken on, and the answer never arrives."""

    ONCE = auto()
    EARLY = auto()  # before the submit call has its answer
    TWICE = auto()
    NEVER = auto()
    REFUSED = auto()
    LOST = auto()
    BUSY = auto()  # 429, not taken on


@dataclass
class Job:
    """One job that was taken on, and so is paid for."""

    id: str
    prompt: str
    webhook: str | None
    manner: Manner
    done: bool = False
    answers: list[int] = field(default_factory=list)
    """What its webhook calls were answered with."""


class JobMaker(StandIn):
    """``jobs`` are all that were taken on, by id. Nothing is done before :meth:`finish`, unless ``prompt`` is set."""

    def __init__(self, manner_of: Callable[[str, int], Manner] = lambda _prompt, _number: Manner.ONCE) -> None:
        super().__init__()
        self.jobs: dict[str, Job] = {}
        self.prompt = False
        self.asked: Counter[str] = Counter()
        self.outstanding = self.most_outstanding = 0
        self._manner_of = manner_of
        self._numbers: Counter[str] = Counter()
        self._callers = ThreadPoolExecutor(8)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point :class:`JobImages` here."""
        return {"JOB_MAKER_URL": self.url}

    def __exit__(self, *all_: object) -> None:
        self._callers.shutdown(wait=True, cancel_futures=True)
        super().__exit__(*all_)

    def answer(self, request: Request) -> Reply:
        """Take a job on, say how it stands, or give its picture out."""
        parts = urlsplit(request.path)
        if request.method == "POST":
            return self._take_on(request.json()["prompt"], parse_qs(parts.query).get("webhook", [None])[0])
        kind, job_id = parts.path.strip("/").split("/")
        job = self.jobs.get(job_id)
        if job is None:
            return Reply(404)
        self.asked[job_id] += 1
        if kind == "pictures":
            return Reply(body=paint(job.prompt, 64, 64))
        return Reply(body=self._told(job))

    def _take_on(self, prompt: str, webhook: str | None) -> Reply:
        self._numbers[prompt] += 1
        manner = self._manner_of(prompt, self._numbers[prompt])
        if manner is Manner.BUSY:
            return Reply(429)
        job = Job(uuid.uuid4().hex, prompt, webhook, manner)
        self.jobs[job.id] = job
        self.outstanding += 1
        self.most_outstanding = max(self.most_outstanding, self.outstanding)
        if manner is Manner.EARLY:
            self._finish(job)
        elif self.prompt:
            self._callers.submit(self._finish, job)
        return Reply(disconnect=True) if manner is Manner.LOST else Reply(body={"id": job.id})

    def _told(self, job: Job) -> dict[str, str]:
        if not job.done:
            return {"id": job.id, "status": "working"}
        if job.manner is Manner.REFUSED:
            return {"id": job.id, "status": "refused"}
        return {"id": job.id, "status": "done"}

    def finish(self) -> None:
        """All jobs end now, and their webhooks are called."""
        with self.lock:
            unfinished = [job for job in self.jobs.values() if not job.done]
        list(self._callers.map(self._finish, unfinished))

    def _finish(self, job: Job) -> None:
        with self.lock:
            job.done = True
            self.outstanding -= 1
        if job.webhook is None or job.manner is Manner.NEVER:
            return
        for _time in range(2 if job.manner is Manner.TWICE else 1):
            self.call(job)

    def call(self, job: Job) -> None:
        """Call a job's webhook."""
        assert job.webhook is not None
        answer = requests.post(job.webhook, json=self._told(job), timeout=30)
        job.answers.append(answer.status_code)


class JobImages:
    """The provider that hands in at a :class:`JobMaker`: ``provider = "tests.stand_ins.job_maker:JobImages"``."""

    name = "job-images"
    capabilities = Capabilities(webhook=True)

    def __init__(self) -> None:
        self._local = threading.local()

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        session: requests.Session = self._local.session
        return session

    def submit(self, request: GenerationRequest, webhook_url: str | None) -> str:
        """One paid POST. Raises RateLimited; Ambiguous when the answer is lost, NotSent when nobody listens."""
        query = {} if webhook_url is None else {"webhook": webhook_url}
        url = f"{os.environ['JOB_MAKER_URL']}/jobs"
        try:
            answer = requests.post(url, params=query, json={"prompt": request.prompt}, timeout=30)
        except requests.ConnectionError as error:
            if "refused" in str(error):
                raise NotSent(str(error)) from error
            raise Ambiguous(str(error)) from error
        if answer.status_code == 429:
            raise RateLimited("429", retry_after_seconds=0.5)
        return str(answer.json()["id"])

    def collect(self, request: GenerationRequest, job_id: str, said: bytes | None) -> GeneratedPicture | None:
        """By what the webhook said, or by asking. Raises Refused; NotSent when nobody listens."""
        try:
            told = json.loads(said) if said else self._session.get(self._url("jobs", job_id), timeout=30).json()
            if told["status"] == "refused":
                raise Refused("no")
            if told["status"] != "done":
                return None
            return GeneratedPicture(self._session.get(self._url("pictures", job_id), timeout=30).content)
        except requests.ConnectionError as error:
            raise NotSent(str(error)) from error

    def _url(self, kind: str, job_id: str) -> str:
        return f"{os.environ['JOB_MAKER_URL']}/{kind}/{job_id}"

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """The signed path is all that there is."""

    def job_of(self, body: bytes) -> str | None:
        """As it says."""
        return str(json.loads(body)["id"])

    def check(self) -> Health:
        """Always there."""
        return Health(self.name, "ok", os.environ["JOB_MAKER_URL"])
