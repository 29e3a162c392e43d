"""Slack by its Web API, with a bot's token: what was posted can be updated and answered in a thread.

Over plain HTTP as the webhook is (decision 42). What its methods answer: https://docs.slack.dev/reference/methods,
how often they may be called: https://docs.slack.dev/apis/web-api/rate-limits (a message per second and channel, 50
updates a minute).
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

from tasks.core.errors import Account, Invalid, Overloaded, RateLimited, StepError
from tasks.core.health import Health
from tasks.core.posts import Posted
from tasks.http_calls import Answer, HttpCaller, TokenAuth, checked_base_url, checked_token

API_URL = "https://slack.com/api"

_LONGEST_WAIT_SECONDS = 10.0
"""A message that Slack wants a moment later waits for that; one that it wants much later is not sent."""

_JSON = {"Content-Type": "application/json; charset=utf-8"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

_RENEW = "copy the bot's token (xoxb-…) of the app anew into SLACK_BOT_TOKEN"
_MENDS = {
    "not_in_channel": "invite the bot: /invite @NAME in the channel of SLACK_CHANNEL",
    "channel_not_found": "set SLACK_CHANNEL to the channel's id (C…), and invite the bot there if it is private",
    "is_archived": "set SLACK_CHANNEL to a channel that is not archived",
    "missing_scope": "give the app the scope chat:write and install it again",
    "no_permission": "give the app the scope chat:write and install it again",
    "restricted_action": "let the bot post there, or set SLACK_CHANNEL to another channel",
} | dict.fromkeys(
    ("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type"),
    _RENEW,
)
"""What Slack refuses for as long as nobody mends it."""

_LIMITED = {"ratelimited", "rate_limited", "message_limit_exceeded"}
_TROUBLED = {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}


class SlackBot:
    """A bot of a Slack workspace that posts into one channel (its id, or its name).

    A lost answer to a post is Ambiguous: the message may be in the channel already.
    Raises ConfigurationError when the token or the address cannot be one.
    """

    def __init__(self, token: str, channel: str, *, api_url: str = API_URL, total_seconds: float = 10.0) -> None:
        self._channel = channel
        self._url = checked_base_url(api_url, "SLACK_API_URL")
        auth = TokenAuth("bearer", checked_token(token, "SLACK_BOT_TOKEN"))
        self._post = HttpCaller("Slack", "SLACK_API_URL", auth=auth, total_seconds=total_seconds, repeatable=False)
        self._again = HttpCaller("Slack", "SLACK_API_URL", auth=auth, total_seconds=total_seconds)

    def send(self, message: dict[str, Any], thread: Posted | None = None) -> Posted:
        """Post a message, in answer to another one (and still seen in the channel) if there is one to answer.

        Raises StepError of the fitting class.
        """
        answers = {"thread_ts": thread.ts, "reply_broadcast": True} if thread else {}
        body = message | answers | {"channel": thread.channel if thread else self._channel}
        try:
            told = self._call(self._post, "chat.postMessage", body)
        except RateLimited as error:
            if (error.retry_after_seconds or 0.0) > _LONGEST_WAIT_SECONDS:
                raise
            time.sleep(error.retry_after_seconds or 1.0)
            told = self._call(self._post, "chat.postMessage", body)
        return Posted(str(told.get("channel")), str(told.get("ts")))

    def update(self, posted: Posted, message: dict[str, Any]) -> None:
        """Put another message in the place of a posted one. Raises Invalid when that cannot be any more."""
        body = {"channel": posted.channel, "ts": posted.ts, "text": message["text"], "blocks": message["blocks"]}
        self._call(self._again, "chat.update", body)

    def check(self) -> Health:
        """Ask Slack whose token it is, and whether the bot is in the channel as far as that may be asked."""
        try:
            answer = self._again.call("POST", f"{self._url}/auth.test", {}, headers=_JSON)
            told = _accepted(answer)
            scopes = {scope.strip() for scope in answer.headers.get("X-OAuth-Scopes", "chat:write").split(",")}
            if "chat:write" not in scopes:
                raise Account(f"Slack: missing_scope; {_MENDS['missing_scope']}")
            return self._seen(f"{told.get('user')} of {told.get('team')}", scopes)
        except StepError as error:
            return Health("slack", "bad", str(error), "check SLACK_BOT_TOKEN and SLACK_CHANNEL")

    def _seen(self, who: str, scopes: set[str]) -> Health:
        """Whether it may post in the channel, which only an id can be asked for. Raises StepError."""
        if not self._channel.startswith(("C", "G")) or not scopes & {"channels:read", "groups:read"}:
            mend = "see that it is in the channel: /invite @NAME"
            return Health(
                "slack", "ok", f"{who}; whether it may post in {self._channel} shows with its first message", mend
            )
        asked = urlencode({"channel": self._channel}).encode()
        told = _accepted(self._again.call("POST", f"{self._url}/conversations.info", asked, headers=_FORM))
        found = told.get("channel") or {}
        if found.get("is_archived"):
            raise Account(f"Slack: is_archived; {_MENDS['is_archived']}")
        if not found.get("is_member") and "chat:write.public" not in scopes:
            raise Account(f"Slack: not_in_channel; {_MENDS['not_in_channel']}")
        return Health("slack", "ok", f"{who} posts in #{found.get('name')}")

    def _call(self, caller: HttpCaller, method: str, body: dict[str, Any]) -> dict[str, Any]:
        return _accepted(caller.call("POST", f"{self._url}/{method}", body, headers=_JSON))


def _accepted(answer: Answer) -> dict[str, Any]:
    """What a method has answered, if that is yes. Raises StepError of the fitting class."""
    told = answer.json()
    if answer.status == 200 and isinstance(told, dict) and told.get("ok") is True:
        return told
    word = str(told.get("error")) if isinstance(told, dict) else answer.text or "(nothing)"
    if answer.status == 429 or word in _LIMITED:
        raise RateLimited(f"Slack: {word}", retry_after_seconds=answer.retry_after_seconds)
    if answer.status >= 500 or word in _TROUBLED:
        raise Overloaded(f"Slack answered {answer.status} {word}", retry_after_seconds=answer.retry_after_seconds)
    if word in _MENDS:
        raise Account(f"Slack: {word}; {_MENDS[word]}")
    raise Invalid(f"Slack answered {answer.status} {word}")
