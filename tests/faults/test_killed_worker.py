"""``kill -9`` of a worker at every step: its successor finishes the batch, and nothing is bought without need."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import func, select

from tasks.cli.finishing import exit_code
from tasks.core.selection import Selection
from tasks.core.states import State
from tasks.ledger.schema import image
from tasks.retrying import retry
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, prompt_of, rows
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.stand_ins.cms import CmsFault, CmsStandIn
from tests.stand_ins.flaky_s3 import FlakyS3, S3Fault
from tests.stand_ins.http_server import Reply
from tests.stand_ins.s3_server import S3Server
from tests.stand_ins.slack import SlackStandIn
from tests.waiting import wait_until

HEALED_WITHIN_SECONDS = 30.0
NAMES = [f"cup-{n}" for n in range(6)]


def unknown_calls(stack: Stack) -> int:
    """Calls of which the ledger did not know whether they were paid when it had to decide."""
    with stack.services.ledger.read() as connection:
        return connection.scalar(select(func.sum(image.c.unknowns))) or 0


def check_healed(stack: Stack, api: AnycapApi, batch_id: str, slack: SlackStandIn) -> None:
    """Everything is published, said once, and bought at most once more for each call whose outcome is unknown."""
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}, stack.states(batch_id)
    assert len(api.charges) <= len(stack.states(batch_id)) + unknown_calls(stack)
    assert max(Counter(call.prompt for call in api.charges).values()) <= 2
    assert stack.counts(batch_id).spent_usd_micros >= 30_000 * len(api.charges)
    texts = [message["text"] for message in slack.messages]
    assert [text[0] for text in texts] == ["🚀", "✅"], texts


def test_killed_while_it_buys(make_stack: MakeStack, api: AnycapApi) -> None:
    """The call's outcome is unknown: it counts as spent, and is made once more by the successor."""
    stuck = prompt_of("cup-3")
    api.fault_for = lambda prompt, number: Fault.HANG_AFTER_CHARGE if (prompt, number) == (stuck, 1) else None
    with SlackStandIn() as slack:
        stack = make_stack(NERVOUS, **slack.environment)
        first = stack.start_worker("first")
        batch_id = stack.submit(rows(NAMES))
        stack.start(batch_id)
        wait_until(lambda: api.charges_for(stuck) == 1, what="the call that hangs")
        first.kill()
        stack.start_worker("second")
        stack.wait(batch_id, HEALED_WITHIN_SECONDS)
        check_healed(stack, api, batch_id, slack)
        assert api.charges_for(stuck) == 2
        assert unknown_calls(stack) >= 1


def test_killed_while_it_buys_and_nobody_may_risk_a_second_payment(make_stack: MakeStack, api: AnycapApi) -> None:
    """With ``on_unknown = "hold"`` the call is not made again: the batch rests as waiting until a person decides."""
    stuck = prompt_of("cup-3")
    api.fault_for = lambda prompt, number: Fault.HANG_AFTER_CHARGE if (prompt, number) == (stuck, 1) else None
    with SlackStandIn() as slack:
        stack = make_stack(f'{NERVOUS}on_unknown = "hold"\n', **slack.environment)
        first = stack.start_worker("first")
        batch_id = stack.submit(rows(NAMES))
        stack.start(batch_id)
        wait_until(lambda: stack.counts(batch_id).published == len(NAMES) - 1, what="the others")
        first.kill()
        stack.start_worker("second")
        stack.wait(batch_id, HEALED_WITHIN_SECONDS)
        assert stack.states(batch_id)["cup-3"] is State.UNKNOWN
        assert exit_code(stack.counts(batch_id)) == 3
        assert api.charges_for(stuck) == 1
        assert stack.counts(batch_id).spent_usd_micros == 30_000 * len(NAMES)
        assert [message["text"][0] for message in slack.messages] == ["🚀", "⚠"]
        assert retry(stack.services, batch_id, Selection.of("unknown")).uncertain == 1
        stack.wait(batch_id, HEALED_WITHIN_SECONDS)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        assert api.charges_for(stuck) == 2


def test_killed_while_it_tells_the_end(make_stack: MakeStack, api: AnycapApi) -> None:
    """Nobody knows whether that summary came: it is sent again, with true numbers. Only then may it come twice."""
    with SlackStandIn(Reply(200, "ok"), Reply(200, "ok", delay_seconds=30)) as slack:
        stack = make_stack(NERVOUS, **slack.environment)
        first = stack.start_worker("first")
        batch_id = stack.submit(rows(NAMES))
        stack.start(batch_id)
        wait_until(lambda: len(slack.requests) == 2, what="the summary under way")
        first.kill()
        stack.start_worker("second")
        stack.wait(batch_id, HEALED_WITHIN_SECONDS)
        told = [request.json()["text"] for request in slack.requests]
        assert [text[0] for text in told] == ["🚀", "✅", "✅"]
        assert told[1] == told[2]
        assert "6/6" in told[2]
        assert len(api.charges) == len(NAMES)


def test_killed_while_it_uploads(make_stack: MakeStack, api: AnycapApi, moto_server: S3Server) -> None:
    """A picture that was bought and not uploaded is uploaded by the successor; it is not bought again."""
    moto_server.create_public_bucket("uploads")
    with FlakyS3(moto_server.url, S3Fault(delay_seconds=20, times=6)) as s3, SlackStandIn() as slack:
        variables = {**moto_server.environment, "AWS_ENDPOINT_URL_S3": s3.url, "S3_BUCKET": "uploads"}
        stack = make_stack(NERVOUS, **variables, **slack.environment)
        first = stack.start_worker("first")
        batch_id = stack.submit(rows(NAMES))
        stack.start(batch_id)
        wait_until(lambda: s3.faults_answered == len(NAMES), what="uploads under way")
        first.kill()
        stack.start_worker("second")
        stack.wait(batch_id, HEALED_WITHIN_SECONDS)
        check_healed(stack, api, batch_id, slack)
        assert len(api.charges) == len(NAMES)


def test_killed_while_it_patches(make_stack: MakeStack, api: AnycapApi) -> None:
    """A URL that may or may not have reached the CMS is written again; nothing else is done again."""
    with CmsStandIn(NAMES) as cms, SlackStandIn() as slack:
        for name in NAMES:
            cms.script(name, CmsFault(200, delay_seconds=20))
        stack = make_stack(NERVOUS, **cms.environment, **slack.environment)
        first = stack.start_worker("first")
        batch_id = stack.submit(rows(NAMES))
        stack.start(batch_id)
        wait_until(lambda: sum(map(cms.writes, NAMES)) == len(NAMES), what="writes under way")
        first.kill()
        stack.start_worker("second")
        stack.wait(batch_id, HEALED_WITHIN_SECONDS)
        check_healed(stack, api, batch_id, slack)
        assert len(api.charges) == len(NAMES)
        assert cms.products == {name: stack.images(batch_id)[name].public_url for name in NAMES}


def test_killed_again_and_again(make_stack: MakeStack, api: AnycapApi) -> None:
    """Three workers die in the course of one batch, wherever they are; the fourth finishes it."""
    names = [f"cup-{n}" for n in range(60)]
    with CmsStandIn(names) as cms, SlackStandIn() as slack:
        stack = make_stack(NERVOUS, **cms.environment, **slack.environment)
        batch_id = stack.submit(rows(names))
        doomed = stack.start_worker("first")
        stack.start(batch_id)
        for life, published in enumerate((3, 20, 40), start=2):
            wait_until(lambda enough=published: stack.counts(batch_id).published >= enough, what="progress")
            doomed.kill()
            doomed = stack.start_worker(f"life-{life}")
        stack.wait(batch_id, HEALED_WITHIN_SECONDS)
        check_healed(stack, api, batch_id, slack)
        assert cms.products == {name: image.public_url for name, image in stack.images(batch_id).items()}
