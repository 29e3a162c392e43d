"""A batch's own webhook hears of everything, in order, whatever happens to it or to whoever tells it."""

from __future__ import annotations

from collections import Counter

from tasks import progress
from tasks.core.routing import CONTROL_QUEUE, START_BATCH
from tasks.core.states import State
from tasks.ledger import events, reading
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, PATIENT, Stack, prompt_of, rows
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.stand_ins.http_server import Reply
from tests.stand_ins.webhook_receiver import SECRET, WebhookReceiver
from tests.waiting import wait_until

NAMES = [f"cup-{n}" for n in range(12)]
PUBLISHED = ["generated", "uploaded", "published"]
ALLOWED = "allow_private_webhook_urls = true\n"


def told_all(stack: Stack, batch_id: str) -> bool:
    """Whether nothing is left to tell."""
    standing = events.standing(stack.services.ledger, batch_id)
    return standing is not None and standing.untold == 0


def check_told(receiver: WebhookReceiver, batch_id: str) -> None:
    """Each state of each image, each event once but for tries that are named alike, in the order of what happened."""
    first = list({told.id: told for told in receiver.told}.values())
    assert Counter(told.data["batch"] for told in first) == {batch_id: 3 * len(NAMES) + 2}
    by_image: dict[str, list[str]] = {}
    for told in sorted(first, key=lambda told: told.data["sequence"]):
        by_image.setdefault(told.data.get("sku", told.type), []).append(told.data.get("state", ""))
    assert by_image == {"batch.started": [""], **dict.fromkeys(NAMES, PUBLISHED), "batch.finished": [""]}


def test_everything_is_told_once_and_in_order(make_stack: MakeStack, api: AnycapApi) -> None:
    """Of a batch that another code base has ordered: what is told is what the ledger has."""
    refused = prompt_of("cup-3")
    api.fault_for = lambda prompt, _number: Fault.CONTENT_REJECTED if prompt == refused else None
    with WebhookReceiver() as receiver:
        # Without a sweep that would find what nobody has asked to be told.
        stack = make_stack(PATIENT + ALLOWED + "sweep_every_seconds = 600.0\n", WEBHOOK_SECRET=SECRET)
        stack.start_worker()
        order = {"rows": rows(NAMES), "template": "tiny", "model": "quick", "webhook": receiver.webhook_url}
        stack.shop.send_task(START_BATCH, kwargs=order, queue=CONTROL_QUEUE)
        wait_until(lambda: "batch.finished" in receiver.of_batches(), 60, "the last event")
        (batch,) = reading.list_batches(stack.services.ledger)
        assert told_all(stack, batch.id)
    of_images = receiver.of_images()
    assert of_images.pop("cup-3") == ["refused"]
    assert of_images == dict.fromkeys([name for name in NAMES if name != "cup-3"], PUBLISHED)
    assert receiver.of_batches() == ["batch.started", "batch.finished"]
    assert receiver.told[0].type == "batch.started"
    finished = receiver.told[-1]
    assert finished.type == "batch.finished"
    assert finished.data["counts"] == {"published": 11, "refused": 1}
    assert len({told.id for told in receiver.told}) == len(receiver.told)
    views = stack.images(batch.id)
    urls = {told.data["sku"]: told.data["url"] for told in receiver.told if told.type == "image.published"}
    assert urls == {key: view.public_url for key, view in views.items() if view.state is State.PUBLISHED}
    (sad,) = [told.data for told in receiver.told if told.type == "image.refused"]
    assert (sad["error_class"], sad["error_message"]) == ("refused", views["cup-3"].error_message)


def test_an_order_that_is_refused_is_told(make_stack: MakeStack) -> None:
    """With every problem, whether that shows at once or when its rows are read; nobody watches such an order."""
    with WebhookReceiver() as receiver:
        stack = make_stack(PATIENT + ALLOWED, WEBHOOK_SECRET=SECRET)
        stack.start_worker()
        for template, values in (("tinny", rows(NAMES)), ("tiny", [*rows(NAMES), {"sku": "", "name": "nameless"}])):
            order = {"rows": values, "template": template, "model": "quick", "webhook": receiver.webhook_url}
            stack.shop.send_task(START_BATCH, kwargs=order, queue=CONTROL_QUEUE)
        wait_until(lambda: len(receiver.told) == 2, 60, "both refusals")
    assert receiver.of_batches() == ["batch.refused"] * 2
    problems = " ".join(problem for told in receiver.told for problem in told.data["problems"])
    assert "unknown template 'tinny'" in problems
    assert "1 of 13 rows cannot be used, nothing was started" in problems


def test_a_receiver_that_is_down_hears_of_it_later(make_stack: MakeStack) -> None:
    """The batch does not wait for it; what it has missed comes when it is back, in order."""
    with WebhookReceiver() as receiver:
        receiver.reply = Reply(503)
        stack = make_stack(PATIENT + ALLOWED + "sweep_every_seconds = 1.0\n", WEBHOOK_SECRET=SECRET)
        stack.start_worker()
        batch_id = stack.run(rows(NAMES), webhook=receiver.webhook_url)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        wait_until(lambda: len(receiver.requests) >= 2, 30, "two tries")
        assert len(receiver.requests) <= 12  # not one for each event
        assert receiver.told == []
        receiver.reply = None
        wait_until(lambda: told_all(stack, batch_id), 60, "the rest")
    check_told(receiver, batch_id)
    assert receiver.told[-1].type == "batch.finished"


def test_a_receiver_that_is_gone_is_given_up(make_stack: MakeStack) -> None:
    """The batch is published as if there were none; its log and its summary say what has become of the webhook."""
    with WebhookReceiver() as receiver:
        receiver.reply = Reply(410)
        stack = make_stack(PATIENT + ALLOWED, WEBHOOK_SECRET=SECRET)
        worker = stack.start_worker()
        batch_id = stack.run(rows(NAMES), webhook=receiver.webhook_url)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        wait_until(lambda: "it is told nothing more" in worker.words, 30, "giving up")
        standing = progress.summarise(stack.services, batch_id).webhook
        assert standing is not None
        assert standing.gave_up
        assert standing.error == "the webhook answered 410: it wants no more of this batch"
        assert len(receiver.requests) == 1


def test_a_sender_that_is_killed_tells_again_under_the_same_name(make_stack: MakeStack) -> None:
    """What was told and not written down yet comes twice; nothing is left out."""
    with WebhookReceiver() as receiver:
        stack = make_stack(NERVOUS + ALLOWED, WEBHOOK_SECRET=SECRET)
        first = stack.start_worker("first")
        # The receiver takes all it is told, and keeps the sender waiting for one answer.
        receiver.slow = ("image.published", "cup-5")
        batch_id = stack.submit(rows(NAMES), webhook=receiver.webhook_url)
        stack.start(batch_id)
        wait_until(lambda: "published" in receiver.of_images().get("cup-5", []), 30, "the event")
        first.kill()
        receiver.slow = None
        stack.start_worker("second")
        stack.wait(batch_id)
        wait_until(lambda: told_all(stack, batch_id), 60, "the rest")
    twice = Counter(told.id for told in receiver.told)
    assert max(twice.values()) == 2
    check_told(receiver, batch_id)


def test_a_worker_without_the_secret_tells_nothing_unsigned(make_stack: MakeStack) -> None:
    """It says what is missing; a worker that has it tells everything."""
    with WebhookReceiver() as receiver:
        stack = make_stack(PATIENT + ALLOWED + "sweep_every_seconds = 1.0\n", WEBHOOK_SECRET=SECRET)
        secret = stack.environment.pop("WEBHOOK_SECRET")
        forgetful = stack.start_worker("forgetful")
        batch_id = stack.run(rows(NAMES), webhook=receiver.webhook_url)
        wait_until(lambda: "WEBHOOK_SECRET is not set" in forgetful.words, 30, "the reason")
        assert receiver.requests == []
        forgetful.stop()
        stack.environment["WEBHOOK_SECRET"] = secret
        stack.start_worker("better")
        wait_until(lambda: told_all(stack, batch_id), 60, "everything")
    check_told(receiver, batch_id)
