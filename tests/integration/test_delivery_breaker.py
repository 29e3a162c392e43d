"""A CMS or a bucket that takes nothing for a while costs time, and no picture."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tasks.core.holds import Reason
from tasks.core.states import State
from tests.integration.conftest import MakeStack
from tests.integration.stack import PATIENT, Stack, rows
from tests.stand_ins.anycap_api import AnycapApi
from tests.stand_ins.cms import CmsFault, CmsStandIn, InterruptedCms
from tests.stand_ins.flaky_s3 import FlakyS3, S3Fault
from tests.stand_ins.s3_server import S3Server
from tests.stand_ins.slack import SlackStandIn
from tests.waiting import wait_until

PAUSE_SECONDS, LONGEST_SECONDS = 0.5, 2.0
OUTAGE = PATIENT + (
    "sweep_every_seconds = 1.0\nmax_delivery_attempts = 2\n"
    f"delivery_pause_seconds = {PAUSE_SECONDS}\ndelivery_longest_pause_seconds = {LONGEST_SECONDS}\n"
)
"""Two tries for each picture, a few seconds apart: without a breaker a short outage would end them all."""

IMAGES, WORKERS, THREADS = 30, 2, 4
BUCKET = "outage"


@dataclass(frozen=True)
class Destination:
    """Somewhere that can be down. ``calls``: how many deliveries it was asked for; ``waits_in``: while it is down."""

    environment: Mapping[str, str]
    name: str
    words: str
    waits_in: State
    calls: Callable[[], int]
    go_down: Callable[[], None]
    come_back: Callable[[], None]


@contextmanager
def cms_destination() -> Iterator[Destination]:
    """A CMS that answers 503 to everything while it is down."""
    with InterruptedCms() as cms:
        yield Destination(
            cms.environment,
            "cms",
            "the CMS",
            State.UPLOADED,
            calls=lambda: len(cms.requests),
            go_down=cms.up.clear,
            come_back=cms.up.set,
        )


@contextmanager
def s3_destination(server: S3Server) -> Iterator[Destination]:
    """A bucket whose uploads are answered with 503 SlowDown while it is down."""
    server.create_public_bucket(BUCKET)
    with FlakyS3(server.url) as s3:
        variables = {"S3_BUCKET": BUCKET, "PUBLIC_BASE_URL": server.public_url(BUCKET)}
        yield Destination(
            variables | server.environment | {"AWS_ENDPOINT_URL_S3": s3.url},
            "s3",
            "public storage",
            State.GENERATED,
            calls=lambda: sum(request.method == "PUT" for request in list(s3.requests)),
            go_down=lambda: s3.faults.append(S3Fault(times=1_000_000)),
            come_back=s3.faults.clear,
        )


def test_an_outage_of_the_cms_costs_no_picture(make_stack: MakeStack, api: AnycapApi) -> None:
    """Paid pictures wait as uploaded, use up no tries, and are published when the CMS is back."""
    with cms_destination() as destination:
        check_outage(destination, make_stack, api)


def test_an_outage_of_s3_costs_no_picture(make_stack: MakeStack, api: AnycapApi, moto_server: S3Server) -> None:
    """Paid pictures wait as generated, use up no tries, and are uploaded when the bucket is back."""
    with s3_destination(moto_server) as destination:
        check_outage(destination, make_stack, api)


def check_outage(destination: Destination, make_stack: MakeStack, api: AnycapApi) -> None:
    """A batch begins while its destination is down; after several probes it comes back."""
    with SlackStandIn() as slack:
        stack = make_stack(OUTAGE, **destination.environment, **slack.environment)
        for number in range(WORKERS):
            stack.start_worker(f"worker-{number}", "-c", str(THREADS))
        destination.go_down()
        batch_id = stack.submit(rows(f"cup-{n}" for n in range(IMAGES)))
        began = time.monotonic()
        stack.start(batch_id)
        waiting = {destination.waits_in: IMAGES}
        wait_until(lambda: stack.counts(batch_id).counts == waiting, 60, "pictures that are paid for and wait")
        probed_from = destination.calls()
        wait_until(lambda: destination.calls() >= probed_from + 3, 60, "probes")
        check_said(stack, destination)
        took = time.monotonic() - began
        assert stack.counts(batch_id).counts == waiting, "nothing has ended or moved"
        # What opened it, what the threads had in hand, and probes: a few at first, then one in each longest pause.
        assert destination.calls() <= 5 + WORKERS * THREADS + 3 + took / LONGEST_SECONDS
        with watched(stack) as watching:
            destination.come_back()
            stack.wait(batch_id, 60)
        assert watching.returncode == 0
        assert stack.counts(batch_id).counts == {State.PUBLISHED: IMAGES}
        assert len(api.charges) == IMAGES
        check_slack(slack, destination)


@contextmanager
def watched(stack: Stack) -> Iterator[subprocess.Popen[bytes]]:
    """Have somebody who begins to watch the batch, and is told of the outage at once; leave when it has ended."""
    with (stack.folder / "watch.log").open("wb") as log:
        command = [sys.executable, "-c", "from tasks.cli.main import main; main()", "watch"]
        watching = subprocess.Popen(command, env=stack.environment, cwd=stack.folder, stdout=log, stderr=log)
    try:
        wait_until(lambda: "is held since" in (stack.folder / "watch.log").read_text(), 30, "the news of the outage")
        yield watching
        watching.wait(30)
    finally:
        watching.kill()
        watching.wait()


def check_said(stack: Stack, destination: Destination) -> None:
    """Status and doctor say that delivery is held, and doctor finds that bad."""
    status = stack.python("import sys; from tasks.cli.main import main; sys.argv[1:] = ['status']; main()")
    assert f"delivery to {destination.words} is held since" in " ".join(status.split())
    held = stack.python(
        "from tasks import health; from tasks.services import current_services;"
        "print([(one.component, one.status, '503' in one.detail)"
        "for one in health.check_all(current_services()) if 'held since' in one.detail])"
    )
    assert held.strip() == f"[('delivery to {destination.name}', 'bad', True)]"


def check_slack(slack: SlackStandIn, destination: Destination) -> None:
    """Four messages in all: the start, that it is held, that it goes on, and the end."""
    texts = [message["text"] for message in slack.messages]
    assert [text[0] for text in texts] == ["🚀", "⏸", "▶", "✅"]
    assert f"Delivery to {destination.words} is held since" in texts[1]
    assert "503" in str(slack.messages[1])
    assert f"Delivery to {destination.words} goes on" in texts[2]


def test_one_poisonous_record_is_its_own_trouble(make_stack: MakeStack) -> None:
    """A product whose writes always fail waits for a person after its tries, and the others do not wait for it."""
    with CmsStandIn(any_product=True) as cms, SlackStandIn() as slack:
        cms.script("poison", *[CmsFault(500)] * 100)
        stack = make_stack(OUTAGE, **cms.environment, **slack.environment)
        stack.start_worker("one", "-c", "4")
        batch_id = stack.run(rows(["poison", *(f"cup-{n}" for n in range(11))]))
        images = stack.images(batch_id)
        assert images.pop("poison").error_class == "overloaded"
        assert {image.state for image in images.values()} == {State.PUBLISHED}
        assert stack.counts(batch_id).counts == {State.PUBLISHED: 11, State.HELD: 1}
        assert cms.writes("poison") == 2
        assert [message["text"][0] for message in slack.messages] == ["🚀", "⚠"]


def test_in_the_end_pictures_are_left_to_a_person(make_stack: MakeStack) -> None:
    """A CMS that does not come back: the batch is held and rests, and its summary says what waits and why."""
    with cms_destination() as destination, SlackStandIn() as slack:
        destination.go_down()
        stack = make_stack(OUTAGE + "deliver_for_hours = 0.001\n", **destination.environment, **slack.environment)
        stack.start_worker("one", "-c", "4")
        batch_id = stack.run(rows(f"cup-{n}" for n in range(8)))
        assert stack.counts(batch_id).counts == {State.HELD: 8}
        images = stack.images(batch_id).values()
        assert {image.error_class for image in images} == {Reason.FAILURES}
        assert all("patch_cms: down since" in (image.error_message or "") for image in images)
        assert all("503" in (image.error_message or "") for image in images)
        assert "8 waiting" in slack.messages[-1]["text"]


def test_a_short_hiccup_is_no_news(make_stack: MakeStack) -> None:
    """Failures that the next try mends hold nothing, need no sweep, and nobody hears of them."""
    with CmsStandIn(any_product=True) as cms, SlackStandIn() as slack:
        for n in range(4):
            cms.script(f"cup-{n}", CmsFault(503))
        stack = make_stack(PATIENT + "sweep_every_seconds = 3600.0\n", **cms.environment, **slack.environment)
        stack.start_worker("one", "-c", "4")
        batch_id = stack.run(rows(f"cup-{n}" for n in range(12)))
        assert stack.counts(batch_id).counts == {State.PUBLISHED: 12}
        assert [message["text"][0] for message in slack.messages] == ["🚀", "✅"]
