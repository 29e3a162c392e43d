"""Saying something in Slack: whatever becomes of it is written down, and never fails or delays a batch."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from tasks.core.errors import Invalid, StepError
from tasks.core.posts import Posted
from tasks.core.redaction import redacted
from tasks.delivery.slack_blocks import without_pictures
from tasks.services import Services

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What was said, where it can be updated, and why it was not said after all."""

    message: dict[str, Any]
    posted: Posted | None = None
    error: str | None = None


def say(services: Services, what: str, message: dict[str, Any], thread: Posted | None = None) -> Told:
    """Send a message once, in answer to another one if there is one. ``what`` names it in the log."""
    try:
        return _sent(services, message, thread)
    except Exception as failure:  # noqa: BLE001 – whatever it is, what has been claimed is not sent again
        error = words_of(failure)
        logger.warning("%s: Slack did not take the message: %s", what, error)
        return Told(message, error=error)


def _sent(services: Services, message: dict[str, Any], thread: Posted | None) -> Told:
    try:
        return Told(message, services.notifier.send(message, thread))
    except Invalid:
        plain = without_pictures(message)
        if plain == message:
            raise
        # One picture that Slack cannot fetch, and it takes nothing of the message.
        return Told(plain, services.notifier.send(plain, thread))


def words_of(failure: Exception) -> str:
    """A failure in words that anybody may read."""
    if isinstance(failure, StepError):
        return str(failure)
    return redacted(f"unexpected {type(failure).__name__}: {failure}")
