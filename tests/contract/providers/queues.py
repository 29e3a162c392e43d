"""The queues that answer later, each with the stand-in of its maker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tasks.core.catalogue import Endpoint
from tasks.core.health import Health
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest, QueueProvider
from tasks.providers.fal import FalProvider
from tasks.providers.replicate import ReplicateProvider
from tests.stand_ins import fal_api, replicate_api
from tests.stand_ins.fal_api import FalApi
from tests.stand_ins.http_server import Reply, Request, StandIn
from tests.stand_ins.queue_api import QueueApi, Webhook
from tests.stand_ins.replicate_api import ReplicateApi
from tests.waiting import wait_until

MakeRequest = Callable[..., GenerationRequest]


class OurEndpoint(StandIn):
    """Where webhooks come in: it takes them all."""

    def answer(self, request: Request) -> Reply:
        """Thank you."""
        return Reply()

    def webhooks(self, at_least: int = 1) -> list[Webhook]:
        """Those that have come, once there are so many."""
        wait_until(lambda: len(self.requests) >= at_least)
        return [
            Webhook({name.lower(): value for name, value in request.headers.items()}, request.body)
            for request in self.requests
        ]


class Elsewhere(StandIn):
    """A server that says the same to everything."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply

    def answer(self, request: Request) -> Reply:
        """As it was told."""
        return self.reply


@dataclass(frozen=True)
class Queue:
    """One provider, its maker, and where that one calls us."""

    provider: QueueProvider
    api: QueueApi
    model: str
    endpoint: OurEndpoint
    make_request: MakeRequest
    without_key: Callable[[], QueueProvider]

    def request(self, prompt: str = "a mug", **options: object) -> GenerationRequest:
        """A request that goes to the stand-in."""
        return self.sent_here(self.make_request(prompt, **options))

    def sent_here(self, request: GenerationRequest) -> GenerationRequest:
        """The request, to the stand-in's model."""
        return replace(request, model=self.model, endpoint=Endpoint(base_url=self.api.url))

    def job(self, request: GenerationRequest, *, webhook: bool = False) -> str:
        """Hand a job in that ends at once, and wait for that."""
        job_id = self.provider.submit(request, self.endpoint.url if webhook else None)
        wait_until(lambda: self.api.jobs[job_id].ended)
        return job_id


@dataclass(frozen=True)
class Waited:
    """A queue as a provider that answers at once: for the suite of all providers."""

    queue: Queue

    @property
    def name(self) -> str:
        """The queue's."""
        return self.queue.provider.name

    @property
    def capabilities(self) -> Capabilities:
        """The queue's."""
        return self.queue.provider.capabilities

    def generate(self, request: GenerationRequest) -> GeneratedPicture:
        """Hand in, wait, collect."""
        asked = self.queue.sent_here(request)
        made = self.queue.provider.collect(asked, self.queue.job(asked), None)
        assert made is not None
        return made

    def check(self) -> Health:
        """The queue's."""
        return self.queue.provider.check()


@contextmanager
def fal(make_request: MakeRequest) -> Iterator[Queue]:
    """The queue of fal."""
    with FalApi() as api, OurEndpoint() as endpoint:
        provider = FalProvider(fal_api.KEY, allow_private_urls=True, jwks_url=api.jwks_url)
        yield Queue(provider, api, "fal-ai/nano-banana-2", endpoint, make_request, lambda: FalProvider(None))


@contextmanager
def replicate(make_request: MakeRequest) -> Iterator[Queue]:
    """The queue of Replicate."""
    with ReplicateApi() as api, OurEndpoint() as endpoint:
        provider = ReplicateProvider(replicate_api.TOKEN, base_url=api.url, allow_private_urls=True)
        yield Queue(provider, api, "google/nano-banana-2", endpoint, make_request, lambda: ReplicateProvider(None))


QUEUES = {"fal": fal, "replicate": replicate}


def reference(folder: Path, data: bytes) -> Path:
    """A picture to start from, under a name that says nothing."""
    path = folder / "reference"
    path.write_bytes(data)
    return path


def now() -> datetime:
    """The time, as the endpoint has it."""
    return datetime.now(UTC)
