"""Posting to Slack, and what its answers mean."""

from __future__ import annotations

import logging
import socket
import traceback

import pytest

from tasks.core.errors import (
    Account,
    Ambiguous,
    ConfigurationError,
    Invalid,
    NotSent,
    Overloaded,
    RateLimited,
    StepError,
)
from tasks.delivery.slack import NullNotifier, SlackWebhook
from tasks.delivery.slack_start import started
from tests.stand_ins.http_server import Reply
from tests.stand_ins.slack import SlackStandIn
from tests.unit.delivery.summaries import summary

MESSAGE = started(summary(), expected_usd_micros=120_000, language="ko")


def test_a_message_arrives() -> None:
    """200 ok is success, and the channel holds the message."""
    with SlackStandIn() as slack:
        SlackWebhook(slack.webhook_url).send(MESSAGE)
        assert slack.messages == [MESSAGE]


@pytest.mark.parametrize(
    ("reply", "expected", "retry_after_seconds"),
    [
        (Reply(429, "rate_limited", {"Retry-After": "30"}), RateLimited, 30.0),
        (Reply(400, "invalid_payload"), Invalid, None),
        (Reply(413, "too large"), Invalid, None),
        (Reply(403, "action_prohibited"), Account, None),
        (Reply(404, "no_service"), Account, None),
        (Reply(410, "channel_is_archived"), Account, None),
        (Reply(302, "", {"Location": "/"}), Account, None),
        (Reply(500, "rollup_error"), Overloaded, None),
        (Reply(200, "<html>captive portal</html>"), Invalid, None),
        (Reply(disconnect=True), Ambiguous, None),
        (Reply(200, "ok", delay_seconds=30), Ambiguous, None),
    ],
)
def test_answers_get_their_class(reply: Reply, expected: type[StepError], retry_after_seconds: float | None) -> None:
    """Only 200 ok counts; a lost answer is Ambiguous, since posting again might post twice; one request each."""
    with SlackStandIn(reply) as slack:
        with pytest.raises(expected) as caught:
            SlackWebhook(slack.webhook_url, total_seconds=0.5).send(MESSAGE)
        assert type(caught.value) is expected
        assert caught.value.retry_after_seconds == retry_after_seconds
        assert len(slack.requests) == 1
        assert slack.messages == []


def test_the_webhook_url_stays_secret() -> None:
    """Neither the error nor its traceback shows the URL, which is all that one needs to post."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        webhook = SlackWebhook(f"http://127.0.0.1:{closed.getsockname()[1]}/services/T0/B0/hush-hush")
        with pytest.raises(NotSent) as caught:
            webhook.send(MESSAGE)
    assert caught.value.__context__ is None
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_the_check_posts_nothing() -> None:
    """A living webhook refuses an empty message, which shows that it lives; nothing reaches the channel."""
    with SlackStandIn() as slack:
        assert SlackWebhook(slack.webhook_url).check().status == "ok"
        assert slack.messages == []
        assert SlackWebhook(slack.url + "/services/gone").check().status == "bad"
    assert SlackWebhook(slack.webhook_url).check().status == "bad"


def test_a_bad_url_is_said_at_once() -> None:
    """Something that is no URL is refused by the variable's name, without repeating it."""
    with pytest.raises(ConfigurationError, match="SLACK_WEBHOOK_URL") as caught:
        SlackWebhook("hooks.slack.com/services/hush-hush")
    assert "hush" not in str(caught.value)


def test_without_slack_the_log_has_it(caplog: pytest.LogCaptureFixture) -> None:
    """NullNotifier writes the same message as plain text to the log."""
    with caplog.at_level(logging.INFO, logger="tasks.delivery.slack"):
        NullNotifier().send(MESSAGE)
    assert "🚀 products.csv: 이미지 24장 생성을 시작합니다" in caplog.text
    assert NullNotifier().check().status == "off"
