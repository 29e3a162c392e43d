"""The pieces that Slack messages are made of: blocks within Slack's limits, amounts, times and links. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tasks.core.money import format_usd
from tasks.delivery.slack_text import FIELD_CHARS, SECTION_CHARS, clipped, code
from tasks.delivery.slack_words import Words

Block = dict[str, Any]


def message(text: str, blocks: list[Block]) -> dict[str, Any]:
    """What is posted: ``text`` is for notifications and terminals, ``blocks`` are what the channel shows."""
    return {"text": clipped(text, SECTION_CHARS), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def section(mrkdwn: str) -> Block:
    """One paragraph."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": clipped(mrkdwn, SECTION_CHARS)}}


def fields(facts: Sequence[tuple[str, str]]) -> Block:
    """Captions over values, in two columns; at most ten."""
    texts = [clipped(f"*{caption}*\n{value}", FIELD_CHARS) for caption, value in facts]
    return {"type": "section", "fields": [{"type": "mrkdwn", "text": text} for text in texts]}


def context(texts: Sequence[str]) -> Block:
    """Small print; at most ten texts."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text} for text in texts]}


def picture(key: str, url: str, say: Words) -> Block:
    """A small picture beside its key and the way to the whole one.

    As a section's accessory: an image block of its own would fill the channel's width.
    """
    accessory = {"type": "image", "image_url": url, "alt_text": clipped(key, 200)}
    return section(f"{code(key, 100)}\n{link(url, say.picture)}") | {"accessory": accessory}


def without_pictures(message: dict[str, Any]) -> dict[str, Any]:
    """The same message for a Slack that cannot fetch them: it then refuses the message as a whole."""
    return message | {"blocks": [block for block in message["blocks"] if "accessory" not in block]}


def link(url: str, caption: str) -> str:
    """A link where people can follow it; a file's place as text, and so a URL that could break out of the link."""
    if url.startswith(("https://", "http://")) and not set(url) & set("<>|` \n"):
        return f"<{url}|{caption}>".replace("&", "&amp;")
    return f"{caption}: {code(url, 500)}"


def models(aliases: Sequence[str]) -> str:
    """At most five of them."""
    return ", ".join(code(alias, 60) for alias in aliases[:5]) + (" …" if len(aliases) > 5 else "")


def money(usd_micros: int, say: Words) -> str:
    """An amount in dollars."""
    return format_usd(usd_micros) if usd_micros else say.free


def duration(seconds: float, say: Words) -> str:
    """In two units at most; never a negative time when clocks disagree."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    pattern = say.hours if hours else say.minutes if minutes else say.seconds
    return pattern.format(hours=hours, minutes=minutes, seconds=rest)


def moment(when: datetime, timezone: str) -> str:
    """A day and a time of it, with the zone's name."""
    return f"{when.astimezone(zone(timezone)):%Y-%m-%d %H:%M %Z}"


def zone(name: str) -> tzinfo:
    """The named time zone; UTC where the machine does not know it, since a message must not fail over its clock."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
