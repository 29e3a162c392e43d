"""The message at the start of a round, and what becomes of it where it can be updated. Block Kit as everywhere. Pure.

Whatever strangers wrote stands in code spans only.
"""

from __future__ import annotations

from typing import Any

from tasks.core.eta import BatchProgress
from tasks.core.limits import format_rate
from tasks.core.summary import BatchSummary
from tasks.delivery import slack_blocks as block
from tasks.delivery.slack_messages import outcome
from tasks.delivery.slack_text import code
from tasks.delivery.slack_words import Language, Words, words

_BAR_CHARS = 20


def started(
    summary: BatchSummary,
    *,
    expected_usd_micros: int | None = None,
    page_url: str | None = None,
    language: Language = "ko",
) -> dict[str, Any]:
    """🚀, the number of images, the models, what it should cost if that is known, its budget, and where to watch it."""
    say = words(language)
    begins = say.started_one if summary.total == 1 else say.started
    line = "🚀 " + begins.format(name=code(summary.name), total=f"{summary.total:,}")
    facts = [f"{say.model}: {block.models(summary.models)}"]
    if expected_usd_micros is not None:
        facts.append(f"{say.expected_cost}: {block.money(expected_usd_micros, say)}")
    if summary.budget_usd_micros is not None:
        facts.append(f"{say.budget}: {block.money(summary.budget_usd_micros, say)}")
    return block.message(line, [block.section(line), block.context([*facts, *_page(page_url, say)])])


def going_on(summary: BatchSummary, *, page_url: str | None = None, language: Language = "ko") -> dict[str, Any]:
    """At the start of a later round: 🚀, how many images go on, and the models."""
    say = words(language)
    line = "🚀 " + say.next_round.format(
        name=code(summary.name), images=f"{summary.active:,}", round=_round(summary.round, say)
    )
    facts = [f"{say.model}: {block.models(summary.models)}", *_page(page_url, say)]
    return block.message(line, [block.section(line), block.context(facts)])


def under_way(
    summary: BatchSummary, progress: BatchProgress, *, page_url: str | None = None, language: Language = "ko"
) -> dict[str, Any]:
    """How far the round is: ⏳, what has come to an end, a bar, pace and time left, money spent."""
    say = words(language)
    done = summary.published + summary.failed
    share = done / summary.total if summary.total else 0.0
    line = "⏳ " + say.progress.format(
        name=code(summary.name), done=f"{done:,}", total=f"{summary.total:,}", percent=int(100 * share)
    )
    full = int(_BAR_CHARS * share)
    bar = "▰" * full + "▱" * (_BAR_CHARS - full)
    _mark, counts = outcome(summary, say)
    facts = [*_pace(progress, say), *_facts(summary, page_url, say)]
    return block.message(line, [block.section(f"{line}\n{bar}\n{counts}"), block.context(facts)])


def over(summary: BatchSummary, *, page_url: str | None = None, language: Language = "ko") -> dict[str, Any]:
    """What the round has come to; the summary tells more."""
    say = words(language)
    mark, counts = outcome(summary, say)
    line = f"{mark} {code(summary.name)}: {counts}"
    facts = [f"{say.duration}: {block.duration(summary.duration_seconds, say)}", *_facts(summary, page_url, say)]
    return block.message(line, [block.section(line), block.context(facts)])


def superseded(summary: BatchSummary, *, page_url: str | None = None, language: Language = "ko") -> dict[str, Any]:
    """↪️: somebody has let the batch go on in another round before this one was over."""
    say = words(language)
    _mark, counts = outcome(summary, say)
    line = "↪️ " + say.superseded.format(name=code(summary.name), counts=counts, round=_round(summary.round, say))
    return block.message(line, [block.section(line), block.context(_facts(summary, page_url, say))])


def _pace(progress: BatchProgress, say: Words) -> list[str]:
    pace, left_seconds = progress.pace_per_minute, progress.eta_seconds
    told = [say.pace.format(pace=format_rate(pace))] if pace else []
    return [*told, say.time_left.format(duration=block.duration(left_seconds, say))] if left_seconds else told


def _facts(summary: BatchSummary, page_url: str | None, say: Words) -> list[str]:
    budget = "" if summary.budget_usd_micros is None else f" / {block.money(summary.budget_usd_micros, say)}"
    cost = f"{say.cost}: {block.money(summary.spent_usd_micros, say)}{budget}"
    return [cost, f"{say.model}: {block.models(summary.models)}", *_page(page_url, say)]


def _page(url: str | None, say: Words) -> list[str]:
    return [block.link(url, say.page)] if url else []


def _round(number: int, say: Words) -> str:
    return say.round.format(round=number)
