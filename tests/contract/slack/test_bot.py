"""Posting and updating with a bot's token, and what the answers of Slack's Web API mean."""

from __future__ import annotations

import socket
import traceback
from pathlib import Path
from uuid import uuid4

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
from tasks.core.posts import Posted
from tasks.delivery.slack import NullNotifier, SlackWebhook
from tasks.delivery.slack_bot import SlackBot
from tasks.delivery.slack_start import over, started
from tasks.health import slack as checked
from tasks.services import Services
from tasks.settings import load_settings
from tests.stand_ins.http_server import Reply
from tests.stand_ins.slack import SlackApi, SlackStandIn
from tests.unit.delivery.summaries import summary

MESSAGE, LATER = started(summary(), language="ko"), over(summary(), language="ko")


def bot(slack: SlackApi, channel: str = "#shop", **changes: float) -> SlackBot:
    """The bot of the stand-in's workspace."""
    return SlackBot(slack.token, channel, api_url=slack.api_url, **changes)


def no(word: str) -> Reply:
    """Slack says no with status 200."""
    return Reply(200, {"ok": False, "error": word})


def test_a_message_is_posted_updated_and_answered() -> None:
    """By the channel's name at first, by its id from then on; an answer is seen in the channel too."""
    with SlackApi() as slack:
        posted = bot(slack).send(MESSAGE)
        assert posted.channel == "C0SHOP"
        bot(slack).update(posted, LATER)
        bot(slack).send(MESSAGE, posted)
        first, answer = slack.messages
        assert (first["text"], first["blocks"]) == (LATER["text"], LATER["blocks"])
        assert (answer["thread_ts"], answer["reply_broadcast"]) == (posted.ts, True)


FAULTS = [
    (Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "30"}), RateLimited, 30.0),
    (no("message_limit_exceeded"), RateLimited, None),
    (no("invalid_auth"), Account, None),
    (no("channel_not_found"), Account, None),
    (no("not_in_channel"), Account, None),
    (no("missing_scope"), Account, None),
    (no("internal_error"), Overloaded, None),
    (Reply(503, "down"), Overloaded, None),
    (no("invalid_blocks"), Invalid, None),
    (no("message_not_found"), Invalid, None),
    (Reply(200, "<html>captive portal</html>"), Invalid, None),
    (Reply(302, "", {"Location": "/"}), Invalid, None),
]


@pytest.mark.parametrize(("reply", "expected", "retry_after_seconds"), FAULTS)
def test_answers_get_their_class(reply: Reply, expected: type[StepError], retry_after_seconds: float | None) -> None:
    """A no comes with status 200 as a rule; one request each, for an update."""
    with SlackApi(reply) as slack:
        with pytest.raises(expected) as caught:
            bot(slack).update(Posted("C0SHOP", "1.1"), MESSAGE)
        assert type(caught.value) is expected
        assert caught.value.retry_after_seconds == retry_after_seconds
        assert len(slack.requests) == 1


@pytest.mark.parametrize(("reply", "expected", "retry_after_seconds"), FAULTS[2:])
def test_a_post_that_is_refused_is_not_posted_again(
    reply: Reply, expected: type[StepError], retry_after_seconds: float | None
) -> None:
    """The same classes."""
    with SlackApi(reply) as slack:
        with pytest.raises(expected):
            bot(slack).send(MESSAGE)
        assert (len(slack.requests), slack.messages) == (1, [])


@pytest.mark.parametrize("reply", [Reply(disconnect=True), Reply(200, {"ok": True}, delay_seconds=30)])
def test_a_lost_answer(reply: Reply) -> None:
    """A post may be in the channel already; an update may be made again."""
    with SlackApi(reply, reply) as slack:
        with pytest.raises(Ambiguous):
            bot(slack, total_seconds=0.5).send(MESSAGE)
        with pytest.raises(Overloaded):
            bot(slack, total_seconds=0.5).update(Posted("C0SHOP", "1.1"), MESSAGE)
        assert len(slack.requests) == 2


def test_a_post_waits_a_moment_when_slack_asks_for_it() -> None:
    """A message a second and channel is what Slack takes: two batches that end at once both have their summary."""
    with SlackApi(Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "0.1"})) as slack:
        bot(slack).send(MESSAGE)
        assert len(slack.messages) == 1
    with SlackApi(Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "60"})) as slack:
        with pytest.raises(RateLimited):
            bot(slack).send(MESSAGE)
        assert slack.messages == []


def test_the_token_stays_secret() -> None:
    """Neither the error nor its traceback shows it; the mend names the variable."""
    secret = f"xoxb-{uuid4()}"  # not written out: a traceback shows the lines of this file
    with SlackApi() as slack:
        with pytest.raises(Account, match="SLACK_BOT_TOKEN") as caught:
            SlackBot(secret, "#shop", api_url=slack.api_url).send(MESSAGE)
        assert secret not in "".join(traceback.format_exception(caught.value))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = SlackBot(secret, "#shop", api_url=f"http://127.0.0.1:{closed.getsockname()[1]}/api")
        with pytest.raises(NotSent) as unsent:
            away.send(MESSAGE)
    assert secret not in "".join(traceback.format_exception(unsent.value))


@pytest.mark.parametrize(
    ("channel", "scopes", "is_member", "status", "says"),
    [
        ("C0SHOP", "chat:write,channels:read", True, "ok", "posts in #shop"),
        ("C0SHOP", "chat:write,channels:read", False, "bad", "/invite"),
        ("C0SHOP", "chat:write,chat:write.public,channels:read", False, "ok", "posts in #shop"),
        ("C0OTHER", "chat:write,groups:read", True, "bad", "channel_not_found"),
        ("C0SHOP", "chat:write", False, "ok", "shows with its first message"),
        ("#shop", "chat:write,channels:read", False, "ok", "shows with its first message"),
        ("C0SHOP", "channels:read", True, "bad", "chat:write"),
    ],
)
def test_the_check_posts_nothing(channel: str, scopes: str, is_member: bool, status: str, says: str) -> None:
    """Whose token it is, what it may do, and whether the bot is in the channel as far as that may be asked."""
    with SlackApi() as slack:
        slack.scopes, slack.is_member = scopes, is_member
        health = bot(slack, channel).check()
        assert (health.status, slack.messages) == (status, [])
        assert says in health.detail
    assert bot(slack).check().status == "bad"


def test_an_archived_channel_is_said_by_the_check() -> None:
    """Though the bot is a member of it."""
    with SlackApi() as slack:
        slack.is_archived = True
        health = bot(slack, "C0SHOP").check()
    assert (health.status, "SLACK_CHANNEL" in health.detail) == ("bad", True)


def test_a_wrong_token_is_said_by_the_check() -> None:
    """With what mends it."""
    with SlackApi() as slack:
        health = SlackBot("xoxb-other", "C0SHOP", api_url=slack.api_url).check()
    assert (health.status, "SLACK_BOT_TOKEN" in health.detail) == ("bad", True)


def test_who_is_told_depends_on_what_is_set(tmp_path: Path) -> None:
    """The bot before the webhook, the webhook before the log; a token without a channel is a mistake."""
    with SlackApi() as slack, SlackStandIn() as hook:

        def services(**variables: str) -> Services:
            return Services(load_settings(variables, tmp_path))

        assert isinstance(services(**slack.environment, **hook.environment).notifier, SlackBot)
        assert isinstance(services(SLACK_CHANNEL="#shop", **hook.environment).notifier, SlackWebhook)
        assert isinstance(services().notifier, NullNotifier)
        assert checked(services(SLACK_BOT_TOKEN="xoxb-1", **hook.environment)).status == "bad"
        with pytest.raises(ConfigurationError, match="SLACK_CHANNEL"):
            _ = services(SLACK_BOT_TOKEN="xoxb-1").notifier
