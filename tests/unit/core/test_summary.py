from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tasks.core.states import State
from tasks.core.summary import BatchSummary

START = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)


def test_counts_are_grouped_for_people() -> None:
    """Published, failed in any way, and waiting for somebody; states that do not occur count as none."""
    counts = {State.PUBLISHED: 5, State.FAILED: 1, State.REFUSED: 2, State.HELD: 3, State.UNKNOWN: 4}
    summary = BatchSummary(
        batch_id="b",
        name="n",
        round=1,
        total=15,
        counts=counts,
        skipped_rows=0,
        models=("m",),
        started_at=START,
        ended_at=START + timedelta(minutes=2),
        spent_usd_micros=0,
        reused=0,
        failures=(),
    )
    assert (summary.published, summary.failed, summary.waiting) == (5, 3, 7)
    assert summary.duration_seconds == 120.0
