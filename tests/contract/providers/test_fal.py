"""What is fal's own: its addresses, its errors, its keys."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tasks.core.errors import ConfigurationError, Forged, Invalid, NoImage, Overloaded, Refused, StepError
from tasks.providers.fal import FalProvider
from tests.contract.providers.conftest import MakeRequest
from tests.contract.providers.queues import Queue, fal, now, reference
from tests.stand_ins.fal_api import FalApi
from tests.stand_ins.http_server import Reply
from tests.stand_ins.queue_api import painted


@pytest.fixture
def queue(make_request: MakeRequest) -> Iterator[Queue]:
    """The provider with its stand-in."""
    with fal(make_request) as made:
        yield made


@pytest.fixture
def api(queue: Queue) -> FalApi:
    """The stand-in."""
    assert isinstance(queue.api, FalApi)
    return queue.api


def test_fal_is_told_not_to_try_again(queue: Queue) -> None:
    """One paid request is one picture at most, also behind fal's queue."""
    queue.api.calls = 0
    queue.provider.submit(queue.request(), "https://shop.example/webhooks/fal/a.b?c=d&e")
    (paid,) = queue.api.paid
    assert paid.headers["x-fal-no-retry"] == "1"
    assert paid.path.endswith("?fal_webhook=https%3A%2F%2Fshop.example%2Fwebhooks%2Ffal%2Fa.b%3Fc%3Dd%26e")


@pytest.mark.parametrize(
    ("model", "edits"),
    [
        ("fal-ai/nano-banana-2", "fal-ai/nano-banana-2/edit"),
        ("bytedance/seedream/v5/lite/text-to-image", "bytedance/seedream/v5/lite/edit"),
        ("fal-ai/nano-banana-2/edit", "fal-ai/nano-banana-2/edit"),
    ],
)
def test_references_go_to_the_models_sibling(queue: Queue, tmp_path: Path, model: str, edits: str) -> None:
    """As data URIs of the type that their bytes have; the job is asked about below the first two parts of the name."""
    data = painted("JPEG")
    request = replace(queue.request(references=(reference(tmp_path, data),)), model=model)
    job_id = queue.job(request)
    job = queue.api.jobs[job_id]
    uri = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    assert (job.model, job.fields["image_urls"]) == (edits, [uri])
    assert queue.provider.collect(request, job_id, None)
    asked = {request.path for request in queue.api.requests if "/requests/" in request.path}
    owner = "/".join(model.split("/")[:2])
    assert asked == {f"/{owner}/requests/{job_id}", f"/{owner}/requests/{job_id}/status"}


def test_a_workflow_is_asked_about_below_three_parts(queue: Queue) -> None:
    """As fal's own client does."""
    request = replace(queue.request(), model="workflows/me/mugs")
    job_id = queue.job(request)
    with pytest.raises(StepError):
        queue.provider.collect(request, job_id, None)
    assert queue.api.requests[-1].path == f"/workflows/me/mugs/requests/{job_id}/status"


def test_a_size_in_pixels_is_an_object(queue: Queue) -> None:
    """The catalogue writes WIDTHxHEIGHT; a size by name stays a name."""
    queue.job(queue.request(parameters={"image_size": "2048x1152"}))
    queue.job(queue.request(parameters={"image_size": "auto_2K"}))
    sizes = [job.fields["image_size"] for job in queue.api.jobs.values()]
    assert sizes == [{"width": 2048, "height": 1152}, "auto_2K"]


def test_a_model_needs_an_owner(queue: Queue) -> None:
    """Said when the job would be asked about: without an owner there is no such address."""
    with pytest.raises(Invalid, match="fal-ai/nano-banana-2"):
        queue.provider.collect(replace(queue.request(), model="flux"), "job-1", None)


def problem(*types: str) -> dict[str, object]:
    """A model's own error, as fal structures it."""
    return {"detail": [{"loc": ["body"], "msg": f"about {name}", "type": name} for name in types]}


@pytest.mark.parametrize(
    ("ending", "kind", "words"),
    [
        (Reply(422, problem("content_policy_violation")), Refused, "change the prompt"),
        (Reply(422, problem("missing", "content_policy_violation")), Refused, "about missing"),
        (Reply(422, problem("no_media_generated")), NoImage, "about no_media_generated"),
        (Reply(422, problem("image_too_small")), Invalid, "422 image_too_small"),
        (Reply(422, {"detail": "nonsense"}), Invalid, "nonsense"),
        (Reply(500, problem("internal_server_error")), NoImage, "internal_server_error"),
        (Reply(504, {"detail": "late", "error_type": "request_timeout"}), NoImage, "504 request_timeout: late"),
        (Reply(503, "", {"X-Fal-Error-Type": "runner_disconnected"}), NoImage, "runner_disconnected"),
        (Reply(429, problem("downstream_rate_limited")), NoImage, "downstream_rate_limited"),
        (Reply(502, "<html>Bad gateway</html>"), StepError, "502"),
        (Reply(500, {"detail": "no code"}), Overloaded, "no code"),
        (Reply(200, "<html>Welcome</html>"), Overloaded, "somebody else"),
        (Reply(200, {}), NoImage, "sent no picture"),
        (Reply(200, {"images": [{"uri": 7}, None]}), NoImage, "sent no picture"),
    ],
)
def test_a_model_ends_a_job_with_its_own_error(
    queue: Queue, api: FalApi, ending: Reply, kind: type[StepError], words: str
) -> None:
    """By its code; what has no code was said by somebody in between, and the job is as it was."""
    api.ending = ending
    request = queue.request()
    job_id = queue.job(request)
    for said in (None, api.webhook(job_id).body):
        with pytest.raises(kind, match=words):
            queue.provider.collect(request, job_id, said)


def test_a_payload_that_fal_cannot_write_down_is_fetched(queue: Queue, api: FalApi) -> None:
    """The webhook of a job whose answer is no JSON has an error in place of the payload."""
    request = queue.request()
    job_id = queue.job(request)
    body = b'{"request_id": "%s", "status": "OK", "payload": null, "payload_error": "not JSON"}' % job_id.encode()
    assert queue.provider.collect(request, job_id, body)
    assert api.asked == 2


def test_one_picture_may_stand_alone(queue: Queue, api: FalApi) -> None:
    """Some models answer with ``image`` in place of ``images``."""
    request = queue.request()
    job_id = queue.job(request)
    api.ending = Reply(body={"image": {"url": api.picture_url(api.jobs[job_id])}})
    assert queue.provider.collect(request, job_id, None)


def keys_fetched(api: FalApi) -> int:
    """How often the public keys were asked for."""
    return sum("jwks" in request.path for request in api.requests)


def test_fals_keys_are_kept_for_a_day(queue: Queue, api: FalApi) -> None:
    """Many webhooks, one question; a day later they are asked for again."""
    job_id = queue.job(queue.request())
    for _ in range(5):
        hook = api.webhook(job_id)
        queue.provider.authenticate(hook.headers, hook.body, now())
    assert keys_fetched(api) == 1
    later = now() + timedelta(hours=25)
    with pytest.raises(Forged):  # too old by then, which is seen first
        queue.provider.authenticate(hook.headers, hook.body, later)
    fresh = api.webhook(job_id, later)
    queue.provider.authenticate(fresh.headers, fresh.body, later)
    assert keys_fetched(api) == 2


def test_a_new_key_of_fal_is_fetched_at_most_once_a_minute(queue: Queue, api: FalApi) -> None:
    """Forgeries cannot make us ask all the time, and a changed key is known within the minute."""
    job_id, start = queue.job(queue.request()), now()
    old = api.webhook(job_id, start)
    queue.provider.authenticate(old.headers, old.body, start)
    api.renew_key()
    hook = api.webhook(job_id, start)
    for _ in range(5):
        with pytest.raises(Forged, match="none of fal's keys"):
            queue.provider.authenticate(hook.headers, hook.body, start + timedelta(seconds=59))
    assert keys_fetched(api) == 1
    queue.provider.authenticate(hook.headers, hook.body, start + timedelta(seconds=60))
    with pytest.raises(Forged):
        queue.provider.authenticate(old.headers, old.body, start + timedelta(seconds=61))
    assert keys_fetched(api) == 2


def test_without_fals_keys_nothing_is_authentic(queue: Queue, api: FalApi) -> None:
    """Neither forged nor true: fal is to call again. It is asked for its keys once a minute."""
    job_id, start = queue.job(queue.request()), now()
    api.keys_with = Reply(503)
    hook = api.webhook(job_id, start)
    for _ in range(3):
        with pytest.raises(Overloaded):
            queue.provider.authenticate(hook.headers, hook.body, start)
    assert keys_fetched(api) == 1
    api.keys_with = Reply(body={"keys": ["nonsense", {"crv": "Ed25519", "x": "AAAA"}, {"crv": "Ed25519"}]})
    with pytest.raises(Overloaded):
        queue.provider.authenticate(hook.headers, hook.body, start + timedelta(minutes=1))
    api.keys_with = None
    queue.provider.authenticate(hook.headers, hook.body, start + timedelta(minutes=2))


def test_a_key_that_no_header_can_carry_is_said_at_once() -> None:
    """A line break inside of the key is an error of the configuration."""
    with pytest.raises(ConfigurationError, match="FAL_KEY"):
        FalProvider("a\nb")
