"""The Slack messages of a batch and of its deliveries, as Block Kit within Slack's limits. Pure.

Limits: 50 blocks, 150 characters in a header, 3,000 in a section, 10 fields of 2,000, 10 elements in a context.
Texts are cut before they are escaped, which may make them five times as long: the limits here leave room for that.
Whatever strangers wrote (names, keys, error texts) stands in code spans only, never in a header.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tasks.core.events import Standing
from tasks.core.going_on import command
from tasks.core.holds import Hold
from tasks.core.limits import LimitState, format_rate
from tasks.core.money import format_usd
from tasks.core.outages import Outage
from tasks.core.states import WAITING
from tasks.core.summary import BatchSummary, FailureGroup, Fallback
from tasks.delivery.slack_text import FIELD_CHARS, SECTION_CHARS, clipped, code
from tasks.delivery.slack_words import Language, Words, words

_MAX_REASONS = 15
_MAX_EXAMPLES = 5
_MAX_LIMITS = 5
_MAX_FALLBACKS = 10
_MAX_PROBLEMS = 5

Block = dict[str, Any]


def started(
    name: str,
    total: int,
    models: Sequence[str],
    *,
    expected_usd_micros: int | None = None,
    language: Language = "ko",
) -> dict[str, Any]:
    """The message at the start: 🚀, the number of images, the models, and what it should cost if that is known."""
    say = words(language)
    line = "🚀 " + (say.started_one if total == 1 else say.started).format(name=code(name), total=f"{total:,}")
    facts = [f"{say.model}: {_models(models)}"]
    if expected_usd_micros is not None:
        facts.append(f"{say.expected_cost}: {_money(expected_usd_micros, say)}")
    return _message(line, [_section(line), _context(facts)])


def going_on(summary: BatchSummary, *, language: Language = "ko") -> dict[str, Any]:
    """The message at the start of a later round: 🚀, how many images go on, and the models."""
    say = words(language)
    line = "🚀 " + say.next_round.format(
        name=code(summary.name), images=f"{summary.active:,}", round=_round(summary, say)
    )
    return _message(line, [_section(line), _context([f"{say.model}: {_models(summary.models)}"])])


def refused(summary: BatchSummary, *, language: Language = "ko") -> dict[str, Any]:
    """The message of a batch that was refused: ⛔, why, the first problems, and where to see them all."""
    say = words(language)
    line = "⛔ " + say.refused.format(name=code(summary.name))
    reason, *problems = summary.problems
    lines = [code(reason, 1000), *(f"• {code(problem, 300)}" for problem in problems[:_MAX_PROBLEMS])]
    more = ["• …"] if len(problems) > _MAX_PROBLEMS else []
    mend = f"{say.mend} {code(f'imagechord status {summary.batch_id}')}"
    return _message(line, [_section(line), _section("\n".join([*lines, *more])), _context([mend])])


def held(
    summary: BatchSummary, holds: Sequence[Hold], *, language: Language = "ko", timezone: str = "Asia/Seoul"
) -> dict[str, Any]:
    """The message of a batch of which something is held while the rest goes on: ⏸️, what, why, and how to go on."""
    say = words(language)
    line = "⏸️ " + say.held.format(name=code(summary.name))
    goes_on = f"{say.goes_on} {code(f'imagechord resume {summary.batch_id}')}"
    reasons = "\n".join(_hold(each, say, timezone) for each in holds[:_MAX_REASONS])
    return _message(line, [_section(line), _section(reasons), _context([goes_on])])


def _hold(hold: Hold, say: Words, timezone: str) -> str:
    what = code(hold.model, 60) if hold.model else say.batch
    until = "" if hold.until is None else " · " + say.until.format(time=_moment(hold.until, timezone))
    onward = f" · {say.falls_back}" if hold.falls_back else ""
    return f"*{what}* · {say.reasons.get(hold.reason, hold.reason)}{until}{onward}\n{code(hold.message, 240)}"


def finished(summary: BatchSummary, *, language: Language = "ko", timezone: str = "Asia/Seoul") -> dict[str, Any]:
    """The summary of a round: ✅, or ⚠️ when images failed or wait; counts, cost, reasons, and the report."""
    say = words(language)
    mark, counts = "⚠️" if summary.failed or summary.waiting else "✅", _counts(summary, say)
    failed = [group for group in summary.failures if group.state not in WAITING]
    waits = [group for group in summary.failures if group.state in WAITING]
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": f"{mark} {counts}", "emoji": True}},
        _section(code(summary.name)),
        _fields(_facts(summary, say)),
        *_fallbacks(summary.fallbacks, say),
        *_found_limits(summary.limits, say),
        *_reasons(say.failures, failed, say),
        *_reasons(say.waits, waits, say, summary.batch_id),
        *_webhook(summary.webhook, say),
        *_report(summary.report_url, say),
        _context([_when(summary, timezone), f"{say.batch} {code(summary.batch_id)}", _round(summary, say)]),
    ]
    return _message(f"{mark} {code(summary.name)}: {counts}", blocks)


def delivery_held(outage: Outage, *, language: Language = "ko", timezone: str = "Asia/Seoul") -> dict[str, Any]:
    """The message of a CMS or a store that takes nothing: ⏸️, since when, its error, and that nothing is lost."""
    say = words(language)
    since = f"{outage.since.astimezone(_zone(timezone)):%Y-%m-%d %H:%M %Z}"
    line = "⏸️ " + say.delivery_held.format(destination=say.destinations[outage.destination], since=since)
    return _message(line, [_section(line), _section(code(outage.message, 500)), _context([say.delivery_waits])])


def delivery_goes_on(outage: Outage, ended_at: datetime, *, language: Language = "ko") -> dict[str, Any]:
    """The message when it is back: ▶️, and how long it was held."""
    say = words(language)
    duration = _duration((ended_at - outage.since).total_seconds(), say)
    line = say.delivery_goes_on.format(destination=say.destinations[outage.destination], duration=duration)
    return _message(f"▶️ {line}", [_section(f"▶️ {line}")])


def _message(text: str, blocks: list[Block]) -> dict[str, Any]:
    return {"text": clipped(text, SECTION_CHARS), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def _counts(summary: BatchSummary, say: Words) -> str:
    """Succeeded/total and failed, as in the article; and waiting, when images wait."""
    waiting = say.also_waiting.format(waiting=f"{summary.waiting:,}") if summary.waiting else ""
    counts = {"published": summary.published, "total": summary.total, "failed": summary.failed}
    return say.finished.format(**{name: f"{count:,}" for name, count in counts.items()}) + waiting


def _facts(summary: BatchSummary, say: Words) -> list[tuple[str, str]]:
    """Captions and values, at most eight; what is zero and no news is left out."""
    optional = [
        (say.waiting, summary.waiting),
        (say.skipped_rows, summary.skipped_rows),
        (say.reused, summary.reused),
    ]
    return [
        (say.published, f"{summary.published:,} / {summary.total:,}"),
        (say.failed, f"{summary.failed:,}"),
        *((caption, f"{count:,}") for caption, count in optional if count),
        (say.cost, _money(summary.spent_usd_micros, say)),
        (say.duration, _duration(summary.duration_seconds, say)),
        (say.model, _models(summary.models)),
    ]


def _fallbacks(fallbacks: Sequence[Fallback], say: Words) -> list[Block]:
    """A line for each model that another one has stood in for."""
    lines = [
        say.fallback.format(
            images=f"{each.images:,}",
            model=code(each.model, 60),
            asked=code(each.asked, 60),
            published=f"{each.published:,}",
        )
        for each in fallbacks
    ]
    return [_section("\n".join(f"🔀 {line}" for line in lines[:_MAX_FALLBACKS]))] if lines else []


def _found_limits(limits: Sequence[LimitState], say: Words) -> list[Block]:
    """A line for each limit that turned out to be lower than the configured one: somebody should set it right."""
    lines = [
        (say.found_limit if limit.per_minute else say.found_where_none).format(
            model=code(limit.name, 60),
            found=format_rate(limit.found_per_minute),
            configured=format_rate(limit.per_minute or 0.0),
        )
        for limit in limits
        if limit.found_per_minute is not None
    ]
    return [_section("\n".join(f"🐢 {line}" for line in lines[:_MAX_LIMITS]))] if lines else []


def _reasons(title: str, groups: Sequence[FailureGroup], say: Words, batch_id: str | None = None) -> list[Block]:
    """One section for each reason, the most frequent first, and a line for those that do not fit.

    With ``batch_id`` each says what makes its images go on.
    """
    ordered = sorted(groups, key=lambda group: -group.count)
    shown, rest = ordered[:_MAX_REASONS], ordered[_MAX_REASONS:]
    blocks = [_section(_reason(group, say) + (_way_on(group, batch_id, say) if batch_id else "")) for group in shown]
    if blocks:
        blocks = [{"type": "divider"}, _section(f"*{title}*"), *blocks]
    if rest:
        images = f"{sum(group.count for group in rest):,}"
        blocks.append(_context([say.more_reasons.format(reasons=len(rest), images=images)]))
    return blocks


def _reason(group: FailureGroup, say: Words) -> str:
    reason = say.reasons.get(group.error_class) or code(group.error_class)
    where = f" · {code(group.step)}" if group.step else ""
    examples = " ".join(code(key, 40) for key in group.example_keys[:_MAX_EXAMPLES])
    more = " …" if group.count > min(len(group.example_keys), _MAX_EXAMPLES) and examples else ""
    lines = [
        say.reason.format(count=f"{group.count:,}", reason=reason) + where,
        code(group.message, 240) if group.message else "",
        examples + more,
    ]
    return "\n".join(line for line in lines if line)


def _way_on(group: FailureGroup, batch_id: str, say: Words) -> str:
    wanted = command(group, batch_id)
    return f"\n{say.by_itself}" if wanted is None else f"\n{say.way_on} {code(wanted)}"


def _webhook(standing: Standing | None, say: Words) -> list[Block]:
    """A line when the batch's webhook does not take what it is told."""
    if standing is None or standing.error is None:
        return []
    line = say.webhook_given_up if standing.gave_up else say.webhook_untold
    return [_section(f"🔕 {line.format(events=f'{standing.untold:,}')}\n{code(standing.error, 240)}")]


def _report(url: str | None, say: Words) -> list[Block]:
    """A link where people can follow it; a file's place as text. A URL that could break out of the link is text too."""
    if not url:
        return []
    safe = url.startswith(("https://", "http://")) and not set(url) & set("<>|` \n")
    return [_section(f"<{url}|{say.report}>".replace("&", "&amp;") if safe else f"{say.report}: {code(url, 500)}")]


def _when(summary: BatchSummary, timezone: str) -> str:
    zone = _zone(timezone)
    begin, end = summary.started_at.astimezone(zone), summary.ended_at.astimezone(zone)
    until = f"{end:%H:%M}" if end.date() == begin.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"{begin:%Y-%m-%d %H:%M} – {until} {end:%Z}"


def _moment(moment: datetime, timezone: str) -> str:
    return f"{moment.astimezone(_zone(timezone)):%Y-%m-%d %H:%M %Z}"


def _zone(name: str) -> tzinfo:
    """The named time zone; UTC where the machine does not know it, since a summary must not fail over its clock."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def _duration(seconds: float, say: Words) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    pattern = say.hours if hours else say.minutes if minutes else say.seconds
    return pattern.format(hours=hours, minutes=minutes, seconds=rest)


def _models(models: Sequence[str]) -> str:
    return ", ".join(code(model, 60) for model in models[:5]) + (" …" if len(models) > 5 else "")


def _money(usd_micros: int, say: Words) -> str:
    return format_usd(usd_micros) if usd_micros else say.free


def _round(summary: BatchSummary, say: Words) -> str:
    return say.round.format(round=summary.round)


def _section(mrkdwn: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": clipped(mrkdwn, SECTION_CHARS)}}


def _fields(facts: Sequence[tuple[str, str]]) -> Block:
    texts = [clipped(f"*{caption}*\n{value}", FIELD_CHARS) for caption, value in facts]
    return {"type": "section", "fields": [{"type": "mrkdwn", "text": text} for text in texts]}


def _context(texts: Sequence[str]) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text} for text in texts]}
