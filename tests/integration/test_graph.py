"""What is really sent: the messages in the broker, before any worker has touched them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tasks.core import routing
from tests.integration.conftest import MakeStack
from tests.integration.stack import Stack, rows

NAMES = ["cup-0", "cup-1", "cup-2"]
SECRETS = {
    "CMS_TOKEN": "secret-of-the-cms",
    "SLACK_WEBHOOK_URL": "https://hooks.example.com/secret-of-slack",
    "AWS_SECRET_ACCESS_KEY": "secret-of-aws",
}
RELEASE = (
    "from tasks import graph, limiting; from tasks.services import current_services;"
    "limiting.broker_epoch(current_services());"  # a worker, which releases, has seen to it before
    "assert graph.release(current_services(), 'quick') == 3"
)


def release(stack: Stack) -> str:
    """Submit a batch and release it as start_batch does, with no worker anywhere."""
    batch_id = stack.submit(rows(NAMES))
    stack.python(RELEASE)
    return batch_id


def waiting(stack: Stack, queue: str) -> dict[int, list[dict[str, Any]]]:
    """The messages of a queue by their priority, oldest first."""
    found = {}
    for priority in (0, 3, 6, 9):
        key = f"{queue}\x06\x16{priority}" if priority else queue
        messages = stack.redis.lrange(key, 0, -1)
        assert isinstance(messages, list)
        if messages:
            found[priority] = [json.loads(message) for message in reversed(messages)]
    return found


def body(message: dict[str, Any]) -> Any:
    """Arguments, keyword arguments and embedded canvas of a message."""
    return json.loads(base64.b64decode(message["body"]))


def test_each_image_is_a_chain_of_three_in_a_chord_with_the_summary(stack: Stack) -> None:
    """generate, upload_s3, patch_cms; the chord's callback is slack_summary, as body and as errback."""
    batch_id = release(stack)
    messages = waiting(stack, routing.model_queue("quick"))
    assert list(messages) == [routing.LAST]
    assert len(messages[routing.LAST]) == len(NAMES)
    for number, message in enumerate(messages[routing.LAST], start=1):
        assert message["headers"]["task"] == "imagechord.generate.quick"
        args, kwargs, embedded = body(message)
        assert (args, kwargs) == ([number, 1], {})
        label = f"{stack.counts(batch_id).name} · {NAMES[number - 1]} · image {number}, sending 1"
        assert message["headers"]["argsrepr"] == label
        patch, upload = embedded["chain"]
        assert [upload["task"], patch["task"]] == ["imagechord.upload_s3", "imagechord.patch_cms"]
        assert upload["args"] == patch["args"] == [number, 1]
        assert upload["options"]["argsrepr"] == patch["options"]["argsrepr"] == label
        assert upload["immutable"]
        assert patch["immutable"]
        callback = patch["options"]["chord"]
        (errback,) = callback["options"]["link_error"]
        assert callback["task"] == errback["task"] == "imagechord.slack_summary"
        assert callback["args"] == errback["args"] == [batch_id]


def test_nothing_but_ids_and_labels_and_no_secret_is_in_the_broker(make_stack: MakeStack) -> None:
    """No prompt, no row, no key: whatever is in Redis after a release may be read by anybody."""
    stack = make_stack(**SECRETS)
    batch_id = stack.submit(rows(NAMES, supplier="the supplier's name"), name="Spring")
    stack.python(RELEASE)
    contents = repr([dump(stack, key) for key in stack.redis.scan_iter()])
    assert "imagechord.upload_s3" in contents
    assert batch_id in contents
    assert "Spring · cup-1 · image 2, sending 1" in contents
    for text in ("small picture", "supplier", *SECRETS.values(), "secret-of-anycap"):
        assert text not in contents


def dump(stack: Stack, key: bytes) -> Any:
    """A key and all that is in it, message bodies decoded."""
    kind = stack.redis.type(key)
    if kind == b"list":
        entries = stack.redis.lrange(key, 0, -1)
        assert isinstance(entries, list)
        return key, entries, [body(json.loads(entry)) for entry in entries]
    if kind == b"hash":
        return key, stack.redis.hgetall(key)
    if kind == b"zset":
        return key, stack.redis.zrange(key, 0, -1)
    if kind == b"set":
        return key, stack.redis.smembers(key)
    return key, stack.redis.get(key)


@pytest.fixture
def tasks_in_the_registry(stack: Stack) -> dict[str, dict[str, Any]]:
    """What each registered task is set to, in a process that has loaded the app as a worker does."""
    code = (
        "import json; from tasks.celery import app; app.loader.import_default_modules();"
        "fields = ('rate_limit', 'retry_backoff', 'retry_backoff_max', 'retry_jitter', 'max_retries', 'acks_late',"
        " 'ignore_result');"
        "print(json.dumps({name: {**{f: getattr(task, f) for f in fields},"
        " 'autoretry_for': [e.__name__ for e in task.autoretry_for]}"
        " for name, task in app.tasks.items() if name.startswith('imagechord.')}))"
    )
    loaded: dict[str, dict[str, Any]] = json.loads(stack.python(code))
    return loaded


def test_one_task_type_and_one_rate_limit_for_each_model(
    stack: Stack, tasks_in_the_registry: dict[str, dict[str, Any]]
) -> None:
    """Every model of the catalogue has its task, with the catalogue's limit."""
    models = stack.services.settings.catalogue.models
    limits = {name: task["rate_limit"] for name, task in tasks_in_the_registry.items() if ".generate." in name}
    assert limits == {
        routing.generate_task(alias): None if spec.limits.per_minute is None else f"{spec.limits.per_minute:g}/m"
        for alias, spec in models.items()
    }
    assert limits["imagechord.generate.paced"] == "600/m"


def test_every_step_retries_by_itself_with_backoff_and_jitter(
    tasks_in_the_registry: dict[str, dict[str, Any]],
) -> None:
    """Celery's own autoretry is set on all tasks; the ledger counts attempts, so Celery's count has no limit."""
    assert {"imagechord.generate.quick", "imagechord.upload_s3", "imagechord.patch_cms"} <= set(tasks_in_the_registry)
    for name, task in tasks_in_the_registry.items():
        assert task["autoretry_for"] == ["RetryLater", "LedgerUnavailable"], name
        assert task["retry_backoff"], name
        assert task["retry_backoff_max"] == 60, name
        assert task["retry_jitter"] is True, name
        assert task["max_retries"] is None, name
        assert task["acks_late"], name
        assert task["ignore_result"], name


def test_a_worker_without_flags_serves_every_queue(stack: Stack) -> None:
    """``celery -A tasks worker`` consumes all models' queues, the deliveries and the control queue."""
    worker = stack.start_worker()
    models = stack.services.settings.catalogue.models
    queues = {routing.DELIVER_QUEUE, routing.CONTROL_QUEUE, *map(routing.model_queue, models)}
    assert stack.live_queues() == queues
    assert "concurrency: 8 (thread)" in worker.words


def test_a_worker_can_be_narrowed_to_some_queues(stack: Stack) -> None:
    """``-Q`` leaves the other queues to other workers, and the ledger knows which."""
    stack.start_worker("narrow", "-Q", "imagechord.quick,imagechord.deliver")
    assert stack.live_queues() == {"imagechord.quick", "imagechord.deliver"}


def test_the_rate_limit_is_seen_and_changed_from_outside(stack: Stack) -> None:
    """``celery inspect registered`` shows each model's limit; ``celery control rate_limit`` changes it live."""
    name = stack.start_worker().hostname
    shown = stack.python(
        f"from tasks.celery import app; to = [{name!r}]; i = app.control.inspect(to, timeout=5);"
        "print(i.registered('rate_limit'));"
        "print(app.control.rate_limit('imagechord.generate.paced', '30/m', to, reply=True, timeout=5, limit=1));"
        "print(i.registered('rate_limit'))"
    )
    before, reply, after = shown.splitlines()
    assert "imagechord.generate.paced [rate_limit=600/m]" in before
    assert "ok" in reply
    assert "imagechord.generate.paced [rate_limit=30/m]" in after
