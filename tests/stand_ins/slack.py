"""An incoming webhook and a workspace's Web API that record messages and are as strict about Block Kit as Slack is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from tests.stand_ins.http_server import Reply, Request, StandIn

_PATH = "/services/T0/B0/secret-of-the-webhook"
_MARKUP = re.compile(r"<https?://[^|<>\s]+\|[^<>|]+>")
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;)")


class SlackStandIn(StandIn):
    """``messages`` is what reached the channel. ``faults`` are replies used up by the next posts, one each.

    ``fetches`` says whether Slack can fetch the pictures of a message.
    """

    def __init__(self, *faults: Reply) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self.faults = list(faults)
        self.fetches = True

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
        problems = [*block_kit_problems(message), *self.unfetched(message)]
        if problems:
            return Reply(400, "invalid_blocks: " + "; ".join(problems))
        self.messages.append(message)
        return Reply(200, "ok")

    def unfetched(self, message: dict[str, Any]) -> Iterator[str]:
        """The pictures of a message that Slack cannot fetch."""
        for index, block in enumerate(message.get("blocks", [])):
            if "accessory" in block and not self.fetches:
                yield f"downloading image failed [json-pointer:/blocks/{index}/accessory/image_url]"


class SlackApi(SlackStandIn):
    """A workspace's Web API: a bot that posts into the channel ``C0SHOP``, called shop.

    ``messages`` is what the channel shows by now, ``ts`` and ``thread_ts`` among it; ``said`` every post and update in
    the order in which they came. ``faults`` are used up by posts and updates.
    """

    token = "xoxb-secret-of-the-bot"

    def __init__(self, *faults: Reply) -> None:
        super().__init__(*faults)
        self.said: list[dict[str, Any]] = []
        self.scopes = "chat:write,channels:read"
        self.is_member, self.is_archived = True, False

    @property
    def api_url(self) -> str:
        """What SLACK_API_URL is set to."""
        return self.url + "/api"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point the pipeline here."""
        return {"SLACK_API_URL": self.api_url, "SLACK_BOT_TOKEN": self.token, "SLACK_CHANNEL": "#shop"}

    @property
    def updates(self) -> list[dict[str, Any]]:
        """Every update that was taken."""
        return [each for each in self.said if each["method"] == "chat.update"]

    def answer(self, request: Request) -> Reply:
        """``{"ok": true, …}``, or Slack's own refusals."""
        method = request.path.removeprefix("/api/")
        if request.headers["Authorization"] != f"Bearer {self.token}":
            return _refused("invalid_auth")
        if method == "auth.test":
            told = {"ok": True, "user": "imagechord", "team": "Shop", "user_id": "U0BOT"}
            return Reply(200, told, {"X-OAuth-Scopes": self.scopes})
        if method == "conversations.info":
            return self._channel(parse_qs(request.body.decode()))
        if method not in {"chat.postMessage", "chat.update"}:
            return _refused("unknown_method")
        if self.faults:
            return self.faults.pop(0)
        return self._take(method, request.json())

    def _channel(self, asked: dict[str, list[str]]) -> Reply:
        if asked.get("channel") != ["C0SHOP"]:
            return _refused("channel_not_found")
        found = {"id": "C0SHOP", "name": "shop", "is_member": self.is_member, "is_archived": self.is_archived}
        return Reply(200, {"ok": True, "channel": found})

    def _take(self, method: str, message: dict[str, Any]) -> Reply:
        """An update knows the channel by its id alone."""
        if message["channel"] not in ({"C0SHOP"} if method == "chat.update" else {"C0SHOP", "#shop"}):
            return _refused("channel_not_found")
        if not self.is_member:
            return _refused("not_in_channel")
        if [*block_kit_problems(message), *self.unfetched(message)]:
            return _refused("invalid_blocks")
        if method == "chat.postMessage":
            message |= {"ts": f"1700000000.{len(self.said):06}"}
            self.messages.append(message)
        else:
            found = [each for each in self.messages if each["ts"] == message["ts"]]
            if not found:
                return _refused("message_not_found")
            found[0] |= message
        self.said.append(message | {"method": method})
        return Reply(200, {"ok": True, "channel": "C0SHOP", "ts": message["ts"]})


def _refused(word: str) -> Reply:
    return Reply(200, {"ok": False, "error": word})


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
        case {"type": "section", "text": text, "accessory": picture, **rest} if not rest:
            yield from _text_problems(text, 3000)
            yield from _picture_problems(picture)
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


def _picture_problems(picture: dict[str, Any]) -> Iterator[str]:
    match picture:
        case {"type": "image", "image_url": str(url), "alt_text": str(alt), **rest} if not rest:
            if not url.startswith("https://") or len(url) > 3000:
                yield f"a picture at {url}"
            if not 1 <= len(alt) <= 2000:
                yield f"an alt text of {len(alt)} characters"
        case _:
            yield f"unknown picture {picture}"


def _mrkdwn_problems(where: str, words: str) -> Iterator[str]:
    bare = _MARKUP.sub("", words)
    if "<" in bare or ">" in bare:
        yield f"{where} has a bare angle bracket"
    if _ENTITY.search(words):
        yield f"{where} has a bare ampersand"
    if words.count("`") % 2:
        yield f"{where} has an open code span"
