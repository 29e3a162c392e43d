"""Batches for the tests of messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.core.errors import ErrorClass
from tasks.core.states import State
from tasks.core.summary import BatchSummary, FailureGroup

START = datetime(2026, 5, 1, 2, 0, tzinfo=UTC)


def summary(**changes: Any) -> BatchSummary:
    """A finished batch of 24, all published, for twelve cents."""
    values: dict[str, Any] = {
        "batch_id": "01JT2Z",
        "name": "products.csv",
        "round": 1,
        "total": 24,
        "counts": {State.PUBLISHED: 24},
        "skipped_rows": 0,
        "models": ("nano-banana-2",),
        "started_at": START,
        "ended_at": START + timedelta(minutes=12, seconds=5),
        "spent_usd_micros": 120_000,
        "reused": 0,
        "failures": (),
        "report_url": "https://shop.example.com/report.html?a=1&b=2",
    }
    return BatchSummary(**{**values, **changes})


def refused(count: int = 2, **changes: Any) -> FailureGroup:
    """Pictures that the provider's policy refused."""
    values: dict[str, Any] = {
        "state": State.REFUSED,
        "error_class": ErrorClass.REFUSED,
        "step": "generate",
        "message": "prompt was blocked",
        "count": count,
        "example_keys": ("SKU-1", "SKU-2"),
    }
    return FailureGroup(**{**values, **changes})
