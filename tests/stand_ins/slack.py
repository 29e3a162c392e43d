"""An incoming webhook that records messages and is as strict about Block Kit as Slack is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.stand_ins.http_server import Reply, Request, StandIn

_PATH = "/services/T0/B0/secret-of-the-webhook"
_MARKUP = re.compile(r"<https?://[^|<>\s]+\|[^<>|]+>")
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;)")


class SlackStandIn(StandIn):
    """``messages`` is what reached the channel. ``faults`` are replies used up by the next posts, one each."""

    def __init__(self, *faults: Reply) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self.faults = list(faults)

    @property
    def webhook_url(self) -> str:
        """What SLACK_WEBHOOK_URL is set to."""
        return self.url + _PATH

    @property
    def environment(self) -> dict[str, str]:
        """The variable that points the pipeline here."""
        return {"SLACK_WEBHOOK_URL": self.webhook_url}

    def answer(self, request: Request) -> Reply:
        """``200 ok``, or Slack's own refusals."""
        if self.faults:
            return self.faults.pop(0)
        if request.method != "POST" or request.path != _PATH:
            return Reply(404, "no_service")
        message = request.json()
        if not message.get("text") and not message.get("blocks"):
            return Reply(400, "no_text")
        problems = list(block_kit_problems(message))
        if problems:
            return Reply(400, "invalid_blocks: " + "; ".join(problems))
        self.messages.append(message)
        return Reply(200, "ok")


def block_kit_problems(message: dict[str, Any]) -> Iterator[str]:
    """What Slack would refuse, or show otherwise than meant, in a message."""
    blocks = message.get("blocks", [])
    if len(message.get("text", "")) > 40_000:
        yield "text is too long"
    yield from _mrkdwn_problems("text", message.get("text", ""))
    if len(blocks) > 50:
        yield f"{len(blocks)} blocks"
    for index, block in enumerate(blocks):
        for problem in _block_problems(block):
            yield f"block {index}: {problem}"


def _block_problems(block: dict[str, Any]) -> Iterator[str]:
    match block:
        case {"type": "divider", **rest} if not rest:
            return
        case {"type": "header", "text": {"type": "plain_text", "text": str(text), **extra}, **rest} if not rest:
            if not 1 <= len(text) <= 150 or extra.keys() - {"emoji"}:
                yield f"header of {len(text)} characters"
        case {"type": "section", "text": text, **rest} if not rest:
            yield from _text_problems(text, 3000)
        case {"type": "section", "fields": [*fields], **rest} if not rest and 1 <= len(fields) <= 10:
            for text in fields:
                yield from _text_problems(text, 2000)
        case {"type": "context", "elements": [*elements], **rest} if not rest and 1 <= len(elements) <= 10:
            for text in elements:
                yield from _text_problems(text, 3000)
        case _:
            yield f"unknown shape {block}"


def _text_problems(text: dict[str, Any], max_chars: int) -> Iterator[str]:
    match text:
        case {"type": "mrkdwn", "text": str(words), **rest} if not rest:
            if not 1 <= len(words) <= max_chars:
                yield f"text of {len(words)} characters"
            yield from _mrkdwn_problems("text", words)
        case _:
            yield f"unknown text {text}"


def _mrkdwn_problems(where: str, words: str) -> Iterator[str]:
    bare = _MARKUP.sub("", words)
    if "<" in bare or ">" in bare:
        yield f"{where} has a bare angle bracket"
    if _ENTITY.search(words):
        yield f"{where} has a bare ampersand"
    if words.count("`") % 2:
        yield f"{where} has an open code span"
