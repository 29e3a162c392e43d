"""Slack by incoming webhook, over plain HTTP: the SDK's client repeats a reset POST, which posts twice."""

from __future__ import annotations

import logging
from typing import Any

from tasks.core.errors import Account, Invalid, Overloaded, RateLimited, StepError
from tasks.core.health import Health
from tasks.core.posts import Posted
from tasks.delivery.slack_text import as_text
from tasks.http_calls import Answer, HttpCaller, checked_base_url

_log = logging.getLogger(__name__)

_ALIVE = {"no_text", "invalid_payload", "missing_text_or_fallback_or_attachments"}
"""What a living webhook answers to an empty message."""


class SlackWebhook:
    """An incoming webhook of Slack (or of what speaks its language). The URL is a secret: no message shows it.

    A lost answer is Ambiguous: the message may be in the channel already.
    Raises ConfigurationError when the URL cannot be one.
    """

    def __init__(self, url: str, *, total_seconds: float = 10.0) -> None:
        self._url = checked_base_url(url, "SLACK_WEBHOOK_URL")
        self._http = HttpCaller("Slack", "SLACK_WEBHOOK_URL", total_seconds=total_seconds, repeatable=False)

    def send(self, message: dict[str, Any], thread: Posted | None = None) -> None:  # noqa: ARG002 – only a bot can answer
        """Post one message; only ``200 ok`` is success. Raises StepError of the fitting class."""
        answer = self._http.call("POST", self._url, message)
        if answer.status != 200 or answer.text != "ok":
            raise _refusal(answer)

    def update(self, posted: Posted, message: dict[str, Any]) -> None:  # noqa: ARG002 – as above
        """Raises Invalid: nobody knows what a webhook has posted."""
        raise Invalid("a message that a webhook has posted cannot be updated")

    def check(self) -> Health:
        """Post an empty message, which a living webhook refuses and nobody sees."""
        try:
            answer = self._http.call("POST", self._url, {})
        except StepError as error:
            return Health("slack", "bad", str(error), "check SLACK_WEBHOOK_URL")
        if answer.status == 400 and answer.text in _ALIVE:
            return Health("slack", "ok", "the webhook answers")
        return Health("slack", "bad", str(_refusal(answer)), "make a new webhook and set SLACK_WEBHOOK_URL")


class NullNotifier:
    """No Slack is configured: messages go to the log, as plain text."""

    def send(self, message: dict[str, Any], thread: Posted | None = None) -> None:  # noqa: ARG002 – only a bot can answer
        """Log the message at INFO."""
        _log.info("%s", as_text(message))

    def update(self, posted: Posted, message: dict[str, Any]) -> None:  # noqa: ARG002 – as above
        """The same: a log goes on."""
        self.send(message)

    def check(self) -> Health:
        """Say that there is none."""
        return Health(
            "slack",
            "off",
            "SLACK_WEBHOOK_URL is not set: summaries go to the log and the terminal",
            "set SLACK_WEBHOOK_URL, or SLACK_BOT_TOKEN and SLACK_CHANNEL",
        )


def _refusal(answer: Answer) -> StepError:
    told = f"Slack answered {answer.status} {answer.text or '(nothing)'}"
    if answer.status == 429:
        return RateLimited(told, retry_after_seconds=answer.retry_after_seconds)
    if answer.status >= 500:
        return Overloaded(told, retry_after_seconds=answer.retry_after_seconds)
    if 300 <= answer.status < 400 or answer.status in {401, 402, 403, 404, 410}:
        return Account(f"{told}; the webhook is gone or closed, make a new one and set SLACK_WEBHOOK_URL")
    return Invalid(told)
