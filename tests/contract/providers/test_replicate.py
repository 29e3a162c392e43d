"""What is Replicate's own: its SDK, its states, its codes, its secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.core.catalogue import Endpoint
from tasks.core.errors import Account, ConfigurationError, Forged, Invalid, Lost, NoImage, NotSent, Refused, StepError
from tasks.core.redaction import redacted
from tasks.providers.replicate import ReplicateProvider
from tests.contract.providers.conftest import MakeRequest
from tests.contract.providers.queues import Elsewhere, Queue, now, reference, replicate
from tests.stand_ins.http_server import Reply
from tests.stand_ins.queue_api import painted
from tests.stand_ins.replicate_api import TOKEN, ReplicateApi


@pytest.fixture
def queue(make_request: MakeRequest) -> Iterator[Queue]:
    """The provider with its stand-in."""
    with replicate(make_request) as made:
        yield made


@pytest.fixture
def api(queue: Queue) -> ReplicateApi:
    """The stand-in."""
    assert isinstance(queue.api, ReplicateApi)
    return queue.api


def test_only_the_end_is_called_for(queue: Queue) -> None:
    """Of the SDK's request nothing is waited for, and Replicate calls once."""
    queue.api.calls = 0
    queue.provider.submit(queue.request(), "https://shop.example/webhooks/replicate/a.b")
    (paid,) = queue.api.paid
    assert (paid.path, paid.headers["Prefer"]) == ("/v1/models/google/nano-banana-2/predictions", None)
    called = {name: value for name, value in paid.json().items() if name.startswith("webhook")}
    completed = ["completed"]
    assert called == {"webhook": "https://shop.example/webhooks/replicate/a.b", "webhook_events_filter": completed}
    queue.provider.submit(queue.request(), None)
    assert queue.api.paid[1].json() == {"input": {"prompt": "a mug"}}


def test_a_model_that_is_not_official_has_a_version(queue: Queue) -> None:
    """It is predicted by its version alone."""
    queue.provider.submit(replace(queue.request(), model="me/mugs:0123abcd"), None)
    assert (queue.api.paid[0].path, queue.api.jobs["job-1"].model) == ("/v1/predictions", "0123abcd")


@pytest.mark.parametrize("model", ["mugs", "", "a/b/c", "a/b:", "a b/c"])
def test_what_is_no_model_is_never_sent(queue: Queue, model: str) -> None:
    """The catalogue's mistake, in words."""
    with pytest.raises(Invalid, match="google/nano-banana-2"):
        queue.provider.submit(replace(queue.request(), model=model), None)
    assert queue.api.requests == []


def test_references_are_uploaded_first(queue: Queue, api: ReplicateApi, tmp_path: Path) -> None:
    """With the type that their bytes have; the model gets their addresses."""
    path = reference(tmp_path, painted("JPEG"))
    queue.job(queue.request(references=(path, path)))
    assert [b"image/jpeg" in upload.body and path.read_bytes() in upload.body for upload in api.uploads] == [True, True]
    names = [f"{api.url}/v1/files/file-{number}" for number in (1, 2)]
    assert (api.jobs["job-1"].fields["image_input"], len(api.paid)) == (names, 1)


@pytest.mark.parametrize(
    "reply", [Reply(disconnect=True), Reply(body="x" * 500, drip_seconds=0.1)], ids=["dropped", "dripping"]
)
def test_an_upload_that_is_lost_has_bought_nothing(queue: Queue, tmp_path: Path, reply: Reply) -> None:
    """What is perhaps paid for anywhere else is free here: the prediction was never asked for."""
    path = reference(tmp_path, painted("PNG"))
    with Elsewhere(reply) as broken:
        request = queue.request(references=(path,), deadline_seconds=1.0)
        with pytest.raises(NotSent):
            queue.provider.submit(replace(request, endpoint=Endpoint(base_url=broken.url)), None)
    assert [request.path for request in broken.requests] == ["/v1/files"]


@pytest.mark.parametrize(
    ("ending", "kind", "cost"),
    [
        ({"status": "failed", "error": "flagged as sensitive. (E005) (uIJ6l3ruRD)"}, Refused, None),
        ({"status": "failed", "error": "Service is currently unavailable due to high demand. (E003)"}, NoImage, None),
        ({"status": "failed", "error": "NSFW content detected E005"}, NoImage, None),
        ({"status": "failed", "error": None}, NoImage, None),
        ({"status": "canceled"}, NoImage, None),
        ({"status": "aborted"}, NoImage, 0),
        ({"output": None, "data_removed": True}, Lost, None),
        ({"output": None}, NoImage, None),
        ({"output": {"text": "no"}}, NoImage, None),
    ],
)
def test_a_prediction_ends_by_its_state_and_code(
    queue: Queue, api: ReplicateApi, ending: dict[str, Any], kind: type[StepError], cost: int | None
) -> None:
    """Prose decides nothing; a state that the SDK does not know is one like the others."""
    api.ending = ending
    request = queue.request()
    job_id = queue.job(request)
    for said in (None, api.webhook(job_id).body):
        with pytest.raises(kind) as caught:
            queue.provider.collect(request, job_id, said)
        assert (caught.value.cost_usd_micros, caught.value.trace_id) == (cost, job_id)


def test_the_output_may_be_one_url(queue: Queue, api: ReplicateApi) -> None:
    """Some models answer with a text, others with a list."""
    request = queue.request()
    job_id = queue.job(request)
    api.ending = {"output": api.picture_url(api.jobs[job_id])}
    assert queue.provider.collect(request, job_id, api.webhook(job_id).body)


def test_the_secret_of_webhooks_is_asked_for_once_and_concealed(queue: Queue, api: ReplicateApi) -> None:
    """It is the account's; no message will ever tell it."""
    hook = api.webhook(queue.job(queue.request()))
    for _ in range(3):
        queue.provider.authenticate(hook.headers, hook.body, now())
    assert sum("secret" in request.path for request in api.requests) == 1
    assert api.secret not in redacted(f"the secret is {api.secret}")


def test_a_secret_that_is_set_is_not_asked_for(queue: Queue, api: ReplicateApi) -> None:
    """REPLICATE_WEBHOOK_SECRET is enough, and another one is not."""
    hook = api.webhook(queue.job(queue.request()))
    ReplicateProvider(TOKEN, base_url=api.url, webhook_secret=api.secret).authenticate(hook.headers, hook.body, now())
    with pytest.raises(Forged):
        ReplicateProvider(TOKEN, webhook_secret="another").authenticate(hook.headers, hook.body, now())
    assert not any("secret" in request.path for request in api.requests)


@pytest.mark.parametrize("told", [Reply(401), Reply(body={}), Reply(disconnect=True)])
def test_a_secret_that_cannot_be_had_says_nothing_of_a_webhook(queue: Queue, api: ReplicateApi, told: Reply) -> None:
    """It is neither forged nor true: Replicate is to call again."""
    hook = api.webhook(queue.job(queue.request()))
    with Elsewhere(told) as away, pytest.raises(StepError):
        ReplicateProvider(TOKEN, base_url=away.url).authenticate(hook.headers, hook.body, now())


def test_a_token_that_no_header_can_carry_is_said_at_once() -> None:
    """A line break inside of the token is an error of the configuration."""
    with pytest.raises(ConfigurationError, match="REPLICATE_API_TOKEN"):
        ReplicateProvider("a\nb")


def test_an_address_that_is_none_is_the_accounts_trouble(queue: Queue) -> None:
    """A scheme that nobody speaks: said, not tried for ever."""
    with pytest.raises(Account, match="base_url"):
        queue.provider.submit(replace(queue.request(), endpoint=Endpoint(base_url="gopher://x")), None)
