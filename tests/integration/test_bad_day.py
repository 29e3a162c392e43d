"""A bad day for everybody at once: every row ends where it should, and the books agree with all servers' own."""

from __future__ import annotations

import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.core.states import State
from tests.integration.conftest import MakeStack
from tests.integration.stack import Stack, prompt_of, rows
from tests.stand_ins.anycap_api import AnycapApi, Fault, depicts
from tests.stand_ins.cms import CmsFault, CmsStandIn
from tests.stand_ins.flaky_s3 import FlakyS3, S3Fault
from tests.stand_ins.s3_server import S3Server
from tests.stand_ins.slack import SlackStandIn

PRICE_MICROS = 30_000
BUCKET = "pictures"


@dataclass(frozen=True)
class Case:
    """What goes wrong for one image, call by call (the last fault of ``always`` never ends), and how it ends.

    ``charges`` is what the provider's own books must say, ``unsure`` how many more calls the ledger counts as paid
    to be on the safe side.
    """

    charges: int = 1
    faults: tuple[Fault, ...] = ()
    always: Fault | None = None
    end: State = State.PUBLISHED
    error: tuple[str, str, str] | None = None
    unsure: int = 0
    s3_503: int = 0
    cms: tuple[CmsFault, ...] = ()

    def fault(self, number: int) -> Fault | None:
        """The fault of the n-th call."""
        return self.faults[number - 1] if number <= len(self.faults) else self.always


REFUSED = ("refused", "generate", "content policy")
OK = Case()
CASES: dict[str, Case] = {
    **{f"ok-{n}": OK for n in range(15)},
    **{f"refused-{n}": Case(0, always=Fault.CONTENT_REJECTED, end=State.REFUSED, error=REFUSED) for n in range(3)},
    "refused-plainly": Case(
        0, always=Fault.CONTENT_REJECTED_PLAINLY, end=State.REFUSED, error=("refused", "generate", "content_rejected")
    ),
    "truncated-1": Case(3, always=Fault.TRUNCATED_IMAGE, end=State.FAILED, error=("bad_bytes", "generate", "")),
    "truncated-2": Case(3, always=Fault.TRUNCATED_IMAGE, end=State.FAILED, error=("bad_bytes", "generate", "")),
    "truncated-call": Case(2, faults=(Fault.TRUNCATED_IMAGE,)),
    "truncated-download": Case(1, faults=(Fault.TRUNCATED_ONCE,)),
    "500-once-1": Case(1, faults=(Fault.SERVER_ERROR,)),
    "500-once-2": Case(1, faults=(Fault.SERVER_ERROR_PLAINLY,)),
    "503-then-529": Case(1, faults=(Fault.UNAVAILABLE, Fault.OVERLOADED)),
    "500-for-ever": Case(0, always=Fault.SERVER_ERROR, end=State.FAILED, error=("overloaded", "generate", "internal")),
    "429-once": Case(1, faults=(Fault.RATE_LIMITED,)),
    "429-plainly": Case(1, faults=(Fault.RATE_LIMITED_PLAINLY,)),
    "dropped-1": Case(2, faults=(Fault.DROP_AFTER_CHARGE,)),
    "dropped-2": Case(2, faults=(Fault.DOWNLOAD_REFUSED,)),
    "dropped-twice": Case(2, always=Fault.DROP_AFTER_CHARGE, end=State.FAILED, error=("ambiguous", "generate", "")),
    "dropped-unpaid": Case(1, faults=(Fault.DROP_BEFORE_CHARGE,), unsure=1),
    "no-image-once": Case(2, faults=(Fault.NO_OUTPUTS,)),
    "no-image": Case(3, always=Fault.NO_OUTPUTS, end=State.FAILED, error=("no_image", "generate", "no picture")),
    "invalid": Case(0, always=Fault.INVALID_PARAM, end=State.FAILED, error=("invalid", "generate", "aspect_ratio")),
    "s3-slow-down": Case(s3_503=2),
    "cms-503": Case(cms=(CmsFault(503), CmsFault(503))),
    "cms-429": Case(cms=(CmsFault(429, {"Retry-After": "2"}),)),
    "cms-404": Case(end=State.FAILED, error=("invalid", "patch_cms", "404")),
}
assert len(CASES) == 40
FEW = {name: CASES[name] for name in ("ok-0", "ok-1", "refused-0", "500-once-1", "s3-slow-down", "cms-503", "cms-404")}


@dataclass(frozen=True)
class Outside:
    """The other side: everybody's own books."""

    api: AnycapApi
    s3: FlakyS3
    cms: CmsStandIn
    slack: SlackStandIn


def test_forty_images_on_a_bad_day(make_stack: MakeStack, api: AnycapApi, moto_server: S3Server) -> None:
    """Two workers and 40 images, of which most meet trouble: ends, money, CMS, public bytes and Slack agree."""
    check_bad_day(CASES, make_stack, api, moto_server)


def test_a_bad_day_on_a_strict_object_store(make_stack: MakeStack, api: AnycapApi, swift_server: S3Server) -> None:
    """The same on OpenStack Swift, which checks signatures and digests."""
    check_bad_day(FEW, make_stack, api, swift_server)


def check_bad_day(cases: Mapping[str, Case], make_stack: MakeStack, api: AnycapApi, server: S3Server) -> None:
    """Run the cases as one batch on two workers and compare all books."""
    by_prompt = {prompt_of(name): case for name, case in cases.items()}
    api.fault_for = lambda prompt, number: by_prompt[prompt].fault(number)
    server.create_public_bucket(BUCKET)
    s3_faults = [S3Fault(key=name, times=case.s3_503) for name, case in cases.items() if case.s3_503]
    skus = [name for name in cases if name != "cms-404"]
    with FlakyS3(server.url, *s3_faults) as s3, CmsStandIn(skus) as cms, SlackStandIn() as slack:
        for name, case in cases.items():
            cms.script(name, *case.cms)
        outside = Outside(api, s3, cms, slack)
        variables = {"S3_BUCKET": BUCKET, "PUBLIC_BASE_URL": server.public_url(BUCKET)}
        variables |= server.environment | {"AWS_ENDPOINT_URL_S3": s3.url} | cms.environment | slack.environment
        stack = make_stack(**variables)
        stack.start_worker("one")
        stack.start_worker("two")
        batch_id = stack.run(rows(cases), timeout_seconds=90)
        check_ends(cases, stack, batch_id)
        check_money(cases, stack, batch_id, outside)
        check_published(cases, stack, batch_id, outside)
        check_slack(cases, outside)
        assert sum(case.s3_503 for case in cases.values()) == s3.faults_answered


def check_ends(cases: Mapping[str, Case], stack: Stack, batch_id: str) -> None:
    """Every row is where it should be, with a class, a step and a message."""
    images = stack.images(batch_id)
    assert {name: image.state for name, image in images.items()} == {name: case.end for name, case in cases.items()}
    for name, case in cases.items():
        image = images[name]
        if case.error is None:
            assert (image.error_class, image.error_step, image.error_message) == (None, None, None), name
            continue
        error_class, step, words = case.error
        assert (image.error_class, image.error_step) == (error_class, step), name
        assert words in (image.error_message or ""), name
        assert image.error_message, name
    counts = stack.counts(batch_id)
    assert sum(counts.counts.values()) == counts.total == len(cases)


def check_money(cases: Mapping[str, Case], stack: Stack, batch_id: str, outside: Outside) -> None:
    """The ledger's spending is the provider's own, plus what may have been paid; never more than 3 an image."""
    charged = Counter(call.prompt for call in outside.api.charges)
    images = stack.images(batch_id)
    assert {name: charged[prompt_of(name)] for name in cases} == {name: case.charges for name, case in cases.items()}
    assert max(charged.values()) <= 3
    for name, case in cases.items():
        assert images[name].cost_usd_micros == (case.charges + case.unsure) * PRICE_MICROS, name
    booked = sum(case.charges + case.unsure for case in cases.values()) * PRICE_MICROS
    assert stack.counts(batch_id).spent_usd_micros == booked
    assert images["ok-0"].attempts == 1
    if "429-once" in images:
        assert images["429-once"].attempts == 1, "a 429 uses up no attempt"


def check_published(cases: Mapping[str, Case], stack: Stack, batch_id: str, outside: Outside) -> None:
    """The CMS holds exactly the published URLs, and behind each URL is the picture of that prompt."""
    images = stack.images(batch_id)
    published = {name for name, case in cases.items() if case.end is State.PUBLISHED}
    held = {sku: url for sku, url in outside.cms.products.items() if url}
    assert held == {name: images[name].public_url for name in published}
    for name, url in held.items():
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert depicts(answer.read(), prompt_of(name)), name
            assert answer.headers["Content-Type"] == "image/png"


def check_slack(cases: Mapping[str, Case], outside: Outside) -> None:
    """One message at the start, one summary with the right counts."""
    published = sum(case.end is State.PUBLISHED for case in cases.values())
    start, end = [message["text"] for message in outside.slack.messages]
    assert start.startswith("🚀")
    assert str(len(cases)) in start
    assert end.startswith("⚠️")
    assert f"{published}/{len(cases)}" in end
    assert str(len(cases) - published) in end
