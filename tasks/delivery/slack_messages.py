"""What Slack is told of a batch that is refused or rests, and of its deliveries, as Block Kit within limits. Pure.

Limits: 50 blocks, 150 characters in a header, 3,000 in a section, 10 fields of 2,000, 10 elements in a context.
Texts are cut before they are escaped, which may make them five times as long: the limits here leave room for that.
Whatever strangers wrote (names, keys, error texts) stands in code spans only, never in a header.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tasks.core.events import Standing
from tasks.core.going_on import command
from tasks.core.limits import LimitState, format_rate
from tasks.core.outages import Outage
from tasks.core.showing import MAX_PICTURES, Shown
from tasks.core.states import WAITING
from tasks.core.summary import BatchSummary, FailureGroup, Fallback
from tasks.delivery import slack_blocks as block
from tasks.delivery.slack_blocks import Block
from tasks.delivery.slack_text import code
from tasks.delivery.slack_words import Language, Words, words

_MAX_REASONS = 15
_MAX_EXAMPLES = 5
_MAX_LIMITS = 5
_MAX_FALLBACKS = 10
_MAX_PROBLEMS = 5


def refused(summary: BatchSummary, *, language: Language = "ko") -> dict[str, Any]:
    """The message of a batch that was refused: ⛔, why, the first problems, and where to see them all."""
    say = words(language)
    line = "⛔ " + say.refused.format(name=code(summary.name))
    reason, *problems = summary.problems
    lines = [code(reason, 1000), *(f"• {code(problem, 300)}" for problem in problems[:_MAX_PROBLEMS])]
    more = ["• …"] if len(problems) > _MAX_PROBLEMS else []
    mend = f"{say.mend} {code(f'imagechord status {summary.batch_id}')}"
    return block.message(line, [block.section(line), block.section("\n".join([*lines, *more])), block.context([mend])])


def finished(
    summary: BatchSummary,
    *,
    pictures: Sequence[Shown] = (),
    language: Language = "ko",
    timezone: str = "Asia/Seoul",
) -> dict[str, Any]:
    """The summary of a round: ✅, or ⚠️ when images failed or wait; counts, cost, reasons, the report, some pictures."""
    say = words(language)
    mark, counts = outcome(summary, say)
    failed = [group for group in summary.failures if group.state not in WAITING]
    waits = [group for group in summary.failures if group.state in WAITING]
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": f"{mark} {counts}", "emoji": True}},
        block.section(code(summary.name)),
        block.fields(_facts(summary, say)),
        *_fallbacks(summary.fallbacks, say),
        *_found_limits(summary.limits, say),
        *_reasons(say.failures, failed, say),
        *_reasons(say.waits, waits, say, summary.batch_id),
        *_webhook(summary.webhook, say),
        *([block.section(block.link(summary.report_url, say.report))] if summary.report_url else []),
        *(block.picture(each.key, each.url, say) for each in pictures[:MAX_PICTURES]),
        block.context([_when(summary, timezone), f"{say.batch} {code(summary.batch_id)}", _round(summary, say)]),
    ]
    return block.message(f"{mark} {code(summary.name)}: {counts}", blocks)


def delivery_held(outage: Outage, *, language: Language = "ko", timezone: str = "Asia/Seoul") -> dict[str, Any]:
    """The message of a CMS or a store that takes nothing: ⏸️, since when, its error, and that nothing is lost."""
    say = words(language)
    since = block.moment(outage.since, timezone)
    line = "⏸️ " + say.delivery_held.format(destination=say.destinations[outage.destination], since=since)
    return block.message(
        line, [block.section(line), block.section(code(outage.message, 500)), block.context([say.delivery_waits])]
    )


def delivery_goes_on(outage: Outage, ended_at: datetime, *, language: Language = "ko") -> dict[str, Any]:
    """The message when it is back: ▶️, and how long it was held."""
    say = words(language)
    duration = block.duration((ended_at - outage.since).total_seconds(), say)
    line = say.delivery_goes_on.format(destination=say.destinations[outage.destination], duration=duration)
    return block.message(f"▶️ {line}", [block.section(f"▶️ {line}")])


def outcome(summary: BatchSummary, say: Words) -> tuple[str, str]:
    """A mark; and succeeded/total and failed, as in the article, and waiting, when images wait."""
    mark = "⚠️" if summary.failed or summary.waiting else "✅"
    waiting = say.also_waiting.format(waiting=f"{summary.waiting:,}") if summary.waiting else ""
    counts = {"published": summary.published, "total": summary.total, "failed": summary.failed}
    return mark, say.finished.format(**{name: f"{count:,}" for name, count in counts.items()}) + waiting


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
        (say.cost, block.money(summary.spent_usd_micros, say)),
        (say.duration, block.duration(summary.duration_seconds, say)),
        (say.model, block.models(summary.models)),
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
    return [block.section("\n".join(f"🔀 {line}" for line in lines[:_MAX_FALLBACKS]))] if lines else []


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
    return [block.section("\n".join(f"🐢 {line}" for line in lines[:_MAX_LIMITS]))] if lines else []


def _reasons(title: str, groups: Sequence[FailureGroup], say: Words, batch_id: str | None = None) -> list[Block]:
    """One section for each reason, the most frequent first, and a line for those that do not fit.

    With ``batch_id`` each says what makes its images go on.
    """
    ordered = sorted(groups, key=lambda group: -group.count)
    shown, rest = ordered[:_MAX_REASONS], ordered[_MAX_REASONS:]
    blocks: list[Block] = [
        block.section(_reason(group, say) + (_way_on(group, batch_id, say) if batch_id else "")) for group in shown
    ]
    if blocks:
        blocks = [{"type": "divider"}, block.section(f"*{title}*"), *blocks]
    if rest:
        images = f"{sum(group.count for group in rest):,}"
        blocks.append(block.context([say.more_reasons.format(reasons=len(rest), images=images)]))
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
    return [block.section(f"🔕 {line.format(events=f'{standing.untold:,}')}\n{code(standing.error, 240)}")]


def _when(summary: BatchSummary, timezone: str) -> str:
    zone = block.zone(timezone)
    begin, end = summary.started_at.astimezone(zone), summary.ended_at.astimezone(zone)
    until = f"{end:%H:%M}" if end.date() == begin.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"{begin:%Y-%m-%d %H:%M} – {until} {end:%Z}"


def _round(summary: BatchSummary, say: Words) -> str:
    return say.round.format(round=summary.round)
