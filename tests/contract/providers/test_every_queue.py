"""What every provider promises that answers later."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tasks.core.catalogue import Endpoint
from tasks.core.errors import Account, Ambiguous, Forged, Invalid, Lost, NotSent, Overloaded, RateLimited, StepError
from tasks.pictures.inspect import inspect
from tests.contract.providers.conftest import MakeRequest
from tests.contract.providers.queues import QUEUES, Elsewhere, Queue, now, reference
from tests.stand_ins.http_server import Reply
from tests.stand_ins.maker_api import EXPECTED, MakerFault
from tests.stand_ins.queue_api import AT_SUBMIT, Webhook, painted


@pytest.fixture(params=list(QUEUES))
def queue(request: pytest.FixtureRequest, make_request: MakeRequest) -> Iterator[Queue]:
    """Each queue in turn."""
    with QUEUES[request.param](make_request) as made:
        yield made


def test_a_job_is_asked_about_until_it_is_ready(queue: Queue) -> None:
    """One paid request; nothing while it is at work, then the picture, and again for whoever asks again."""
    queue.api.at_once = False
    request = queue.request()
    job_id = queue.provider.submit(request, None)
    assert queue.provider.collect(request, job_id, None) is None
    queue.api.finish(job_id)
    for _ in range(2):
        made = queue.provider.collect(request, job_id, None)
        assert made is not None
        assert inspect(made.data).size.width == 96
        assert made.trace_id == job_id
    assert len(queue.api.paid) == 1


def test_its_webhook_brings_the_picture_without_a_question(queue: Queue) -> None:
    """What the maker really sends is authentic, says which job it is about, and where the picture is."""
    request = queue.request()
    job_id = queue.job(request, webhook=True)
    (hook,) = queue.endpoint.webhooks()
    queue.provider.authenticate(hook.headers, hook.body, now())
    assert queue.provider.job_of(hook.body) == job_id
    assert queue.provider.collect(request, job_id, hook.body)
    assert queue.api.asked == 0


def test_a_webhook_may_come_before_the_submit_returns(queue: Queue) -> None:
    """Early, and twice: the job is in the body, and the picture is there."""
    queue.api.early, queue.api.calls = True, 2
    request = queue.request()
    job_id = queue.provider.submit(request, queue.endpoint.url)
    hooks = queue.endpoint.webhooks(2)
    assert {queue.provider.job_of(hook.body) for hook in hooks} == {job_id}
    assert all(queue.provider.collect(request, job_id, hook.body) for hook in hooks)


FORGERIES: dict[str, Callable[[Webhook], Webhook]] = {
    "another body": lambda hook: replace(hook, body=hook.body + b" "),
    "no headers": lambda hook: replace(hook, headers={}),
    "no signature": lambda hook: replace(hook, headers={k: v for k, v in hook.headers.items() if "signature" not in k}),
    "a short signature": lambda hook: replace(
        hook, headers={k: v[:-2] if "signature" in k else v for k, v in hook.headers.items()}
    ),
    "a word for a signature": lambda hook: replace(
        hook, headers={k: "ü" if "signature" in k else v for k, v in hook.headers.items()}
    ),
    "a word for a time": lambda hook: replace(
        hook, headers={k: "now" if "timestamp" in k else v for k, v in hook.headers.items()}
    ),
    "another id": lambda hook: replace(
        hook, headers={k: "x" if k.endswith("-id") else v for k, v in hook.headers.items()}
    ),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_webhook_is_refused(queue: Queue, forge: Callable[[Webhook], Webhook]) -> None:
    """Whatever is changed or missing, the signature does not hold."""
    hook = queue.api.webhook(queue.job(queue.request()))
    queue.provider.authenticate(hook.headers, hook.body, now())
    forged = forge(hook)
    with pytest.raises(Forged):
        queue.provider.authenticate(forged.headers, forged.body, now())


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_replayed_webhook_is_refused(queue: Queue, minutes: int) -> None:
    """What was recorded is good for five minutes, and what comes from the future is not good at all."""
    hook = queue.api.webhook(queue.job(queue.request()))
    with pytest.raises(Forged, match="clock"):
        queue.provider.authenticate(hook.headers, hook.body, now() + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body[: len(body) // 2],
        lambda _body: b"",
        lambda _body: b"[]",
        lambda _body: b"[" * 100_000,
        lambda _body: b"\xff",
        lambda body: body.replace(b'"job-1"', b'"job-2"'),
        lambda body: body.replace(b"http://127.0.0.1", b"https://evil.example"),
        lambda body: body.replace(b"http://127.0.0.1", b"https://evil-fal.media.evil.example"),
        lambda body: body.replace(b'"url"', b'"uri"').replace(b'"output"', b'"outputs"'),
        lambda body: body.replace(b'"OK"', b'"ERROR"').replace(b'"succeeded"', b'"processing"'),
    ],
)
def test_what_a_webhook_says_must_fit(queue: Queue, change: Callable[[bytes], bytes]) -> None:
    """A body that is cut, about another job, or leads to a stranger's host: the maker itself is asked."""
    request = queue.request()
    job_id = queue.job(request)
    said = change(queue.api.webhook(job_id).body)
    assert queue.provider.collect(request, job_id, said)
    assert queue.api.asked > 0


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"\xff", b'{"id": 7, "request_id": 7}', b'{"id": "../x"}'])
def test_a_body_need_not_say_which_job_it_is_about(queue: Queue, body: bytes) -> None:
    """Then nothing is made up."""
    assert queue.provider.job_of(body) is None


@pytest.mark.parametrize("base", ["https://evil.example", "https://127.0.0.1.evil.example", "ftp://x", "https://["])
def test_a_picture_is_only_fetched_from_the_makers_hosts(queue: Queue, base: str) -> None:
    """Even when the maker itself says otherwise: every other picture would meet the same."""
    queue.api.picture_base = base
    request = queue.request()
    with pytest.raises(Account, match="may not be fetched"):
        queue.provider.collect(request, queue.job(request), None)


def test_a_picture_may_be_inside_the_answer(queue: Queue) -> None:
    """A data URI leads nowhere; broken ones are no picture."""
    data = base64.b64encode(painted("PNG")).decode()
    request = queue.request()
    job_id = queue.job(request)
    queue.api.picture_url = lambda _job: f"data:image/png;base64,{data}"  # type: ignore[method-assign]
    assert queue.provider.collect(request, job_id, None)
    for broken in ("data:image/png;base64,§", f"data:image/png,{data}", "data:", "data:image/png;base64,QUJD"):
        queue.api.picture_url = lambda _job, uri=broken: uri  # type: ignore[misc]
        with pytest.raises(StepError) as caught:
            queue.provider.collect(request, job_id, None)
        assert caught.value.error_class == "bad_bytes"


@pytest.mark.parametrize("fault", MakerFault)
def test_each_fault_has_its_class_and_costs_one_request(queue: Queue, fault: MakerFault) -> None:
    """Whatever the maker does, one paid request has arrived, and the class is the table's."""
    queue.api.fault = fault
    request = queue.request(deadline_seconds=1.0 if fault is MakerFault.SLOW_BODY else 20.0)
    raised: StepError | None = None
    try:
        job_id = queue.job(request)
        assert fault not in AT_SUBMIT
        assert queue.provider.collect(request, job_id, queue.api.webhook(job_id).body)
    except StepError as error:
        raised = error
    assert (type(raised) if raised else None) is EXPECTED[fault]
    assert len(queue.api.paid) == 1
    if raised:
        asked_for = 7.0 if fault is MakerFault.RATE_LIMITED_WITH_RETRY_AFTER else None
        assert raised.retry_after_seconds == asked_for


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(429, headers={"Retry-After": "7"}), RateLimited),
        (Reply(500), Overloaded),
        (Reply(503), Overloaded),
        (Reply(502), Ambiguous),
        (Reply(401), Account),
        (Reply(307, headers={"Location": "http://127.0.0.1:9/"}), Account),
        (Reply(404), Lost),
        (Reply(body="<html>Welcome to our wireless network</html>"), Overloaded),
        (Reply(body={"status": "SOMETHING NEW"}), Overloaded),
        (Reply(disconnect=True), Overloaded),
        (Reply(body="x" * 500, drip_seconds=0.1), Overloaded),
    ],
)
def test_a_question_without_an_answer_leaves_the_job_as_it_was(
    queue: Queue, reply: Reply, kind: type[StepError]
) -> None:
    """Nothing is bought and nothing is lost: the next question finds the picture."""
    request = queue.request(deadline_seconds=1.0 if reply.drip_seconds else 20.0)
    job_id = queue.job(request)
    queue.api.ask_with = reply
    with pytest.raises(StepError) as caught:
        queue.provider.collect(request, job_id, None)
    assert type(caught.value) is kind
    queue.api.ask_with = None
    assert queue.provider.collect(replace(request, deadline_seconds=20.0), job_id, None)
    assert len(queue.api.paid) == 1


def test_a_redirect_is_not_followed_with_the_paid_request(queue: Queue) -> None:
    """What is sent on may be paid twice, and the key would go along: the address is to be corrected."""
    with Elsewhere(Reply(307, headers={"Location": f"{queue.api.url}/fal-ai/nano-banana-2"})) as moved:
        request = replace(queue.request(), endpoint=Endpoint(base_url=moved.url))
        with pytest.raises(Account, match="307"):
            queue.provider.submit(request, None)
    assert (len(moved.requests), queue.api.requests) == (1, [])


def test_each_paid_request_has_a_connection_of_its_own(queue: Queue) -> None:
    """A kept one that the maker is just closing would look like a call that perhaps was paid."""
    for _ in range(3):
        queue.provider.submit(queue.request(), None)
    assert len({paid.port for paid in queue.api.paid}) == 3


def test_nobody_there_means_not_sent(queue: Queue) -> None:
    """A refused connection: nothing was bought, and nothing could be asked."""
    request = replace(queue.request(), endpoint=Endpoint(base_url="http://127.0.0.1:9"))
    with pytest.raises(NotSent):
        queue.provider.submit(request, None)
    with pytest.raises(NotSent):
        queue.provider.collect(request, "job-1", None)


def test_a_picture_that_is_away_may_be_asked_for_again(queue: Queue) -> None:
    """The job is done and paid for; its picture just does not come."""
    request = queue.request()
    job_id = queue.job(request)
    queue.api.picture_base = f"{queue.api.url}/files/none"
    with pytest.raises(Ambiguous, match="could not be fetched"):
        queue.provider.collect(request, job_id, None)
    queue.api.picture_base = queue.api.url
    assert queue.provider.collect(request, job_id, None)


def test_without_a_key_nothing_is_sent(queue: Queue) -> None:
    """Submit and check say which variable to set."""
    provider = queue.without_key()
    assert (provider.check().status, queue.provider.check().status) == ("bad", "ok")
    with pytest.raises(Account, match=provider.check().mend):
        provider.submit(queue.request(), None)
    assert queue.api.requests == []


def test_parameters_keep_their_types(queue: Queue) -> None:
    """Numbers and booleans are sent as such; what looks like one can be kept a text with its quotes."""
    parameters = {"seed": "7", "resolution": "2K", "aspect_ratio": "16:9", "web": "false", "level": '"4"', "x": "null"}
    queue.job(queue.request(parameters=parameters))
    sent = queue.api.jobs["job-1"].fields
    typed = {"seed": 7, "resolution": "2K", "aspect_ratio": "16:9", "web": False, "level": "4", "x": "null"}
    assert sent == {"prompt": "a mug", **typed}


def test_a_prompt_is_text_whatever_is_in_it(queue: Queue) -> None:
    """Quotes, line breaks and Hangul arrive as they are."""
    prompt = "q\"uo'te\n두 줄 {sku} \\u0000"
    queue.job(queue.request(prompt))
    assert queue.api.jobs["job-1"].fields["prompt"] == prompt


def test_a_reference_that_is_no_picture_is_never_sent(queue: Queue, tmp_path: Path) -> None:
    """It is said before anything is bought."""
    broken = reference(tmp_path, painted("PNG")[:100])
    for path in (broken, tmp_path / "missing"):
        with pytest.raises(Invalid, match=path.name):
            queue.provider.submit(queue.request(references=(path,)), None)
    assert queue.api.requests == []
