"""What ``--json`` prints and the API answers. Keys are stable: new ones may come, none changes its meaning.

Money is in micro-dollars (``…_usd_micros``), durations in seconds, times are ISO 8601 with their offset, and
``null`` is what is not known or has not happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tasks.core.catalogue import ModelSpec
from tasks.core.cost import CostEstimate, ManualCost
from tasks.core.eta import BatchProgress
from tasks.core.going_on import command
from tasks.core.holds import Hold
from tasks.core.limits import LimitState
from tasks.core.outages import Outage
from tasks.core.plan import PlannedImage, RowProblem
from tasks.core.summary import BatchSummary
from tasks.core.views import ImageView
from tasks.providers.base import Capabilities

if TYPE_CHECKING:  # `imagechord cost` needs no ledger, and is quick because of that
    from tasks.ledger.reading import BatchRow

Data = dict[str, Any]


def moment(value: datetime | None) -> str | None:
    """ISO 8601 to the millisecond."""
    return None if value is None else value.isoformat(timespec="milliseconds")


def of_estimate(cost: CostEstimate) -> Data:
    """Low: all at the first try; expected: with usual retries; high: each at its last try."""
    return {
        "low_usd_micros": cost.low,
        "expected_usd_micros": cost.expected,
        "high_usd_micros": cost.high,
        "images_without_price": cost.unpriced,
    }


def of_manual(cost: ManualCost) -> Data:
    """``high_usd_micros`` is null for "and more"."""
    return {"low_usd_micros": cost.low, "high_usd_micros": cost.high, "possible": cost.possible}


def of_planned(image: PlannedImage) -> Data:
    """One picture that would be made."""
    return {
        "line": image.line,
        "sku": image.key,
        "variant": image.variant,
        "template": image.template,
        "model": image.model,
        "size": str(image.size),
        "native_size": str(image.native_size),
        "parameters": dict(image.parameters),
        "fingerprint": image.fingerprint,
        "prompt": image.prompt,
        "references": [{"name": each.name, "sha256": each.sha256} for each in image.references],
    }


def of_problem(problem: RowProblem) -> Data:
    """One thing that is wrong with a row, and its mend."""
    return {
        "line": problem.line,
        "column": problem.column or None,
        "value": problem.value,
        "message": problem.message,
        "mend": problem.mend,
    }


def of_summary(summary: BatchSummary) -> Data:
    """A batch as it stands. ``counts`` has the states that images are in, and adds up to ``total``.

    A reason's ``command`` makes its pictures go on; null for those that do by themselves.
    """
    return {
        "batch": summary.batch_id,
        "name": summary.name,
        "phase": summary.phase,
        "problems": list(summary.problems),
        "round": summary.round,
        "total": summary.total,
        "counts": {str(state): count for state, count in summary.counts.items()},
        "published": summary.published,
        "failed": summary.failed,
        "waiting": summary.waiting,
        "active": summary.active,
        "skipped_rows": summary.skipped_rows,
        "reused": summary.reused,
        "models": list(summary.models),
        "fallbacks": [asdict(each) for each in summary.fallbacks],
        "spent_usd_micros": summary.spent_usd_micros,
        "models_without_price": list(summary.unpriced),
        "started_at": moment(summary.started_at),
        "moved_at": moment(summary.ended_at),
        "duration_seconds": round(summary.duration_seconds, 3),
        "reasons": [
            {
                "state": str(group.state),
                "error_class": group.error_class,
                "step": group.step or None,
                "message": group.message,
                "count": group.count,
                "examples": list(group.example_keys),
                "command": command(group, summary.batch_id),
            }
            for group in summary.failures
        ],
        "report_url": summary.report_url,
        "limits": [of_limit(limit) for limit in summary.limits],
        "outages": [of_outage(outage) for outage in summary.outages],
        "webhook": None if summary.webhook is None else asdict(summary.webhook),
    }


def of_status(batch: BatchRow, summary: BatchSummary, going: BatchProgress, holds: Sequence[Hold]) -> Data:
    """All that there is to say of a batch as it stands."""
    more = {"source": batch.source, "template": batch.template, "holds": [of_hold(hold) for hold in holds]}
    return of_summary(summary) | of_progress(going) | more


def of_outage(outage: Outage) -> Data:
    """A destination (s3, cms) to which delivery is held, since when, and the last error it gave."""
    return {
        "destination": outage.destination,
        "since": moment(outage.since),
        "error_class": outage.error_class,
        "message": outage.message,
    }


def of_hold(hold: Hold) -> Data:
    """Why something of a batch waits. ``model`` null: all of it; ``until`` null: until a person says so.

    ``falls_back``: its pictures go on with another model.
    """
    return {
        "model": hold.model or None,
        "reason": str(hold.reason),
        "message": hold.message,
        "since": moment(hold.since),
        "until": moment(hold.until),
        "falls_back": hold.falls_back,
    }


def of_limit(limit: LimitState) -> Data:
    """One limited thing as it stands. Null is no limit; ``found_per_minute`` null: nothing lower was found."""
    return asdict(limit) | {"in_force_per_minute": limit.in_force_per_minute}


def of_progress(progress: BatchProgress) -> Data:
    """``pace_per_minute`` counts pictures that ended, in the last minute. ``eta_seconds`` null: nobody can know."""
    return {
        "pace_per_minute": round(progress.pace_per_minute, 1),
        "eta_seconds": _rounded(progress.eta_seconds),
        "per_model": [
            {
                "model": one.model,
                "counts": {str(state): count for state, count in one.counts.items()},
                "done": one.done,
                "left": one.left,
                "pace_per_minute": round(one.pace_per_minute, 1),
                "eta_seconds": _rounded(one.eta_seconds),
            }
            for one in progress.models
        ],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def of_image(image: ImageView) -> Data:
    """One picture as the ledger has it. ``asked_model`` is null where no fallback has taken its place."""
    return {
        "line": image.line,
        "sku": image.key,
        "variant": image.variant,
        "state": str(image.state),
        "template": image.template,
        "model": image.model,
        "asked_model": image.asked_model,
        "size": str(image.size),
        "prompt": image.prompt,
        "fingerprint": image.fingerprint,
        "attempts": image.attempts,
        "reused": image.reused,
        "cost_usd_micros": image.cost_usd_micros,
        "error_class": image.error_class,
        "error_step": image.error_step,
        "error_message": image.error_message,
        "output_key": image.output_key,
        "public_url": image.public_url,
        "cms_receipt": image.cms_receipt,
        "replaced": None if image.replaced is None else dict(image.replaced),
        "rolled_back_at": moment(image.rolled_back_at),
        "created_at": moment(image.created_at),
        "published_at": moment(image.published_at),
        "references": list(image.references),
        "row": dict(image.row),
    }


def of_price(spec: ModelSpec) -> Data:
    """What a picture of a model costs, and where that is known from. ``price_usd_micros`` includes the surcharge."""
    return {
        "model": spec.alias,
        "provider": spec.provider,
        "price_usd_micros": spec.price_usd_micros,
        "list_price_usd": None if spec.price_usd is None else str(spec.price_usd),
        "surcharge_percent": spec.surcharge_percent,
        "price_date": spec.price_date.isoformat() if spec.price_date else None,
        "price_source": spec.price_source or None,
    }


def of_model(spec: ModelSpec, capabilities: Capabilities) -> Data:
    """One model of the catalogue, with what its provider can do. ``price_usd_micros`` includes the surcharge."""
    return {
        **of_price(spec),
        "alias": spec.alias,
        "model": spec.model,
        "uses": list(spec.uses),
        "why": spec.why,
        "references": spec.references,
        "capabilities": asdict(capabilities),
        "limits": spec.limits.model_dump(),
        "deadline_seconds": spec.deadline_seconds,
        "max_prompt_chars": spec.max_prompt_chars,
        "sizes": spec.sizes.model_dump(mode="json"),
        "fallback": list(spec.fallback),
        "retires": spec.retires.isoformat() if spec.retires else None,
    }
