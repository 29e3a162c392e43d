"""What Slack is told when something of a batch is held, and when it goes on. Block Kit as everywhere. Pure.

Whatever strangers wrote stands in code spans only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tasks.core.going_on import command
from tasks.core.holds import OF_THE_BATCH, Hold, Reason
from tasks.core.states import State
from tasks.core.summary import BatchSummary, FailureGroup
from tasks.delivery import slack_blocks as block
from tasks.delivery.slack_blocks import Block
from tasks.delivery.slack_text import code
from tasks.delivery.slack_words import Language, Words, words

_MAX_HOLDS = 15


def held(
    summary: BatchSummary,
    holds: Sequence[Hold],
    *,
    page_url: str | None = None,
    language: Language = "ko",
    timezone: str = "Asia/Seoul",
) -> dict[str, Any]:
    """What is held (💰 its budget is reached, ⏸️ something else), why, since when it waits, and how it goes on."""
    say = words(language)
    if {each.reason for each in holds} == {Reason.BUDGET}:
        line = "💰 " + say.budget_reached.format(
            name=code(summary.name),
            spent=block.money(summary.spent_usd_micros, say),
            budget=block.money(summary.budget_usd_micros or 0, say),
        )
    else:
        line = "⏸️ " + say.held.format(name=code(summary.name))
    blocks = [block.section(line), *(_hold(each, summary, say, timezone) for each in holds[:_MAX_HOLDS])]
    small = [*_ways_on(holds, summary.batch_id, say), *([block.link(page_url, say.page)] if page_url else [])]
    return block.message(line, [*blocks, *([block.context(small)] if small else [])])


def lifted(
    name: str, message: dict[str, Any], at: datetime, *, language: Language = "ko", timezone: str = "Asia/Seoul"
) -> dict[str, Any]:
    """A message of :func:`held` when nothing of it is held any more: ▶️, since when, and what it was."""
    line = "▶️ " + words(language).lifted.format(name=code(name), time=block.moment(at, timezone))
    was = [each for each in message["blocks"][1:] if each["type"] == "section"]
    return block.message(line, [block.section(line), *was])


def _hold(hold: Hold, summary: BatchSummary, say: Words, timezone: str) -> Block:
    alone = hold.model and hold.reason not in OF_THE_BATCH
    counts = summary.by_model.get(hold.model, {}) if alone else summary.counts
    waiting = counts.get(State.HELD, 0)
    facts = [
        f"*{code(hold.model, 60) if alone else say.batch}*",
        say.reasons.get(hold.reason, hold.reason),
        *([say.held_images.format(images=f"{waiting:,}")] if waiting else []),
        *([say.until.format(time=block.moment(hold.until, timezone))] if hold.until else []),
        *([say.falls_back] if hold.falls_back else []),
    ]
    return block.section(f"{' · '.join(facts)}\n{code(hold.message, 240)}")


def _ways_on(holds: Sequence[Hold], batch_id: str, say: Words) -> list[str]:
    """The commands for what does not go on by itself, each once."""
    reasons = dict.fromkeys(each.reason for each in holds if each.until is None)
    commands = {
        command(FailureGroup(State.HELD, reason, "", "", 0, ()), batch_id): (
            say.more_budget if reason is Reason.BUDGET else say.goes_on
        )
        for reason in reasons
    }
    return [f"{how} {code(wanted)}" for wanted, how in commands.items() if wanted]
