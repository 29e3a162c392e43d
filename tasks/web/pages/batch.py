"""One batch: how it goes, what it has come to, what went wrong, and its pictures as they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tasks import progress
from tasks.core.cost import manual_cost
from tasks.core.eta import ModelProgress
from tasks.core.going_on import retried_as, way_on
from tasks.core.holds import Reason
from tasks.core.money import format_usd
from tasks.core.states import State
from tasks.core.summary import BatchSummary, FailureGroup
from tasks.ledger import browsing, holding, summing
from tasks.ledger.browsing import BatchHead, Card, Wanted
from tasks.report import look
from tasks.report import wording as report_wording
from tasks.web.http import Response
from tasks.web.pages import wording
from tasks.web.pages.stands import MOVING, TONES, controls, stand
from tasks.web.pages.visit import Visit, find, page

_PICTURES = 60
_SKIPPED = 20
_EVERY_SECONDS, _EVERY_SECONDS_AT_REST = 2, 15
_SAID_ALREADY = frozenset({Reason.PAUSED, Reason.CANCELLED})
"""These are how the batch stands."""
_NOTICES = frozenset({"pause", "resume", "cancel", "retry", "publish"})
_STATES_SHOWN = tuple(State(name) for name in report_wording.state_labels("en") if name != look.SKIPPED)


@page
def batch(visit: Visit, batch_id: str) -> Response:
    """``GET /batches/{batch_id}?state=&sku=&after=&before=``."""
    noted = visit.query.get("noted", "")
    return visit.render(
        "batch.html",
        **_seen(visit, batch_id),
        noted=f"noted_{noted}" if noted in _NOTICES else None,
        noted_images=visit.query.get("images", "") if visit.query.get("images", "").isdecimal() else "",
        skipped=browsing.first_skipped(visit.services.ledger, batch_id, _SKIPPED),
    )


@page
def live(visit: Visit, batch_id: str) -> Response:
    """``GET /batches/{batch_id}/live``: those parts of the page that change, for its script."""
    return visit.render("live.html", **_seen(visit, batch_id))


def _seen(visit: Visit, batch_id: str) -> dict[str, Any]:
    services = visit.services
    head = find(visit, batch_id)
    summary = progress.summarise(services, batch_id)
    going = progress.of_summary(services, summary)
    holding_all = browsing.held_wholly(services.ledger, [batch_id]).get(batch_id)
    standing = stand(summary.phase, summary.counts, holding_all)
    return {
        "batch": head,
        "summary": summary,
        "stand": standing,
        "stand_tone": TONES[standing],
        "controls": controls(standing, summary),
        "shares": look.shares(summary.counts, summary.skipped_rows, rest={State.PLANNED}),
        "pace": wording.rate(going.pace_per_minute, visit.language) if going.pace_per_minute else None,
        "time_left": wording.time_left(going.eta_seconds, visit.language) if summary.active else None,
        "duration": report_wording.duration(summary.duration_seconds, visit.language),
        "budget_percent": _budget_percent(head),
        "models": [_model(visit, model) for model in going.models],
        "troubles": list(_troubles(visit, summary)),
        "groups": [_group(group) for group in summary.failures],
        "sums": list(_sums(visit, head, summary)) if standing not in MOVING else [],
        "every": _EVERY_SECONDS if standing in MOVING else _EVERY_SECONDS_AT_REST,
        **_pictures(visit, batch_id, summary),
    }


def _budget_percent(head: BatchHead) -> tuple[float, float] | None:
    """What is spent and what is reserved, of a hundred."""
    if not head.budget_usd_micros:
        return None
    spent = min(100.0, 100 * head.spent_usd_micros / head.budget_usd_micros)
    return spent, min(100.0 - spent, 100 * head.reserved_usd_micros / head.budget_usd_micros)


def _model(visit: Visit, model: ModelProgress) -> dict[str, Any]:
    limit, language = model.limit, visit.language
    return {
        "name": model.model,
        "done": model.done,
        "left": model.left,
        "pace": wording.rate(model.pace_per_minute, language) if model.pace_per_minute else "–",
        "time_left": wording.time_left(model.eta_seconds, language) if model.left else "–",
        "limits": wording.limits(limit, language),
        "notes": wording.limit_notes(limit, language),
    }


def _troubles(visit: Visit, summary: BatchSummary) -> Iterator[str]:
    """What keeps pictures from going on, besides their own errors."""
    for held in holding.holds(visit.services.ledger, summary.batch_id):
        if held.reason in _SAID_ALREADY:
            continue
        yield wording.hold(held, look.moment(held.until, visit.zone), visit.language)
    for outage in summary.outages:
        yield wording.held_delivery(outage, look.moment(outage.since, visit.zone), visit.language)


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures that have met the same, the way on for them, and the word by which they are tried again."""

    why: FailureGroup
    way: str
    only: str


def _group(group: FailureGroup) -> Group:
    way = way_on(group.state, group.error_class, group.step)
    return Group(group, way.name.lower(), retried_as(group.state, group.error_class))


def _sums(visit: Visit, head: BatchHead, summary: BatchSummary) -> Iterator[tuple[str, str]]:
    """What a batch at rest has come to: a label and its value."""
    told, preferences = wording.words(visit.language), visit.services.settings.preferences
    yield told["published"], f"{summary.published:,} / {summary.total:,}"
    yield told["duration"], report_wording.duration(summary.duration_seconds, visit.language)
    yield told["spent"], format_usd(head.spent_usd_micros)
    if summary.published:
        by_hand = manual_cost(summary.published, preferences.manual_design)
        yield told["by_hand"], wording.by_hand(by_hand, visit.language)
    if summary.reused:
        yield told["reused"].capitalize(), f"{summary.reused:,}"
    for each in summary.fallbacks:
        images, published = f"{each.images:,}", f"{each.published:,}"
        value = told["fallback"].format(asked=each.asked, model=each.model, images=images, published=published)
        yield told["fallbacks"], value
    yield from _told_to_others(visit, summary, told)


def _told_to_others(visit: Visit, summary: BatchSummary, told: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Whether Slack and the batch's webhook have heard of it."""
    sent = summing.sent_message(visit.services.ledger, summary.batch_id)
    if sent and sent["error"]:
        yield told["slack_failed"], str(sent["error"])
    webhook = summary.webhook
    if webhook is not None:
        word = ("webhook_given_up" if webhook.gave_up else "webhook_untold") if webhook.untold else "webhook_told"
        yield told["webhook"], told[word].format(events=f"{webhook.untold:,}")


def _pictures(visit: Visit, batch_id: str, summary: BatchSummary) -> dict[str, Any]:
    """A page of pictures: the latest ones, or those that are asked for in the order of their rows."""
    ledger, query = visit.services.ledger, visit.query
    wanted = Wanted(_state(query.get("state")), query.get("sku", "").strip())
    narrowed = wanted != Wanted()
    if narrowed:
        found = browsing.matching(ledger, batch_id, _PICTURES + 1, wanted, _number(query.get("after")))
    else:
        found = browsing.arrivals(ledger, batch_id, _PICTURES + 1, _place(query.get("before", "")))
    cards = found[:_PICTURES]
    here: dict[str, Any] = {"state": wanted.state, "sku": wanted.text}
    place = {"after": query.get("after")} if narrowed else {"before": query.get("before")}
    return {
        "cards": cards,
        "wanted": wanted,
        "first": visit.url("batches", batch_id, **here) if any(place.values()) else None,
        "more": visit.url("batches", batch_id, **here, **_next(cards[-1], narrowed)) if found[_PICTURES:] else None,
        "source": visit.url("batches", batch_id, "live", **here, **place),
        "filters": [(state, summary.counts[state]) for state in _STATES_SHOWN if summary.counts.get(state)],
    }


def _next(last: Card, narrowed: bool) -> dict[str, str]:
    return {"after": str(last.id)} if narrowed else {"before": f"{last.moved_at.isoformat()},{last.id}"}


def _state(name: str | None) -> State | None:
    with suppress(ValueError):
        return State(name or "")
    return None


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 18 else 0


def _place(text: str) -> tuple[datetime, int] | None:
    """Where a page begins; ``None``, which is the first page, for what is no place."""
    moment, _, image_id = text.partition(",")
    with suppress(ValueError):
        at = datetime.fromisoformat(moment)
        return (at, _number(image_id)) if at.tzinfo else None
    return None
