"""Views and summaries for the report's tests, with only what a test says being out of the ordinary."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image

from tasks.core.pictures import Size
from tasks.core.states import State
from tasks.core.summary import BatchSummary, FailureGroup
from tasks.core.views import ImageView, SkippedRow

STARTED = datetime(2026, 11, 22, 9, 5, tzinfo=UTC)


def thumbnail(kind: str = "WEBP") -> bytes:
    """A real, tiny picture file."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(stream, kind)
    return stream.getvalue()


def image(line: int, state: State = State.PUBLISHED, **other: Any) -> ImageView:
    """One image of a Korean shop."""
    key = f"KR-{line}"
    published = state is State.PUBLISHED
    values: dict[str, Any] = {
        "line": line,
        "key": key,
        "variant": 1,
        "template": "product_hero",
        "model": "nano-banana-2",
        "prompt": f"리넨 셔츠 {line}, 흰 배경",
        "state": state,
        "size": Size(1200, 630),
        "fingerprint": f"{line:064x}",
        "row": {"sku": key, "name": "리넨 셔츠"},
        "cost_usd_micros": 5_000,
        "attempts": 1,
        "public_url": f"https://cdn.example.com/{key}.webp" if published else None,
        "created_at": STARTED,
        "published_at": STARTED + timedelta(seconds=line) if published else None,
    }
    return ImageView(**(values | other))


def skipped(line: int, *problems: str, **row: str) -> SkippedRow:
    """A row that was left out."""
    return SkippedRow(line, problems or ("the cell is empty",), row or {"sku": "", "name": "머그"})


def summary(
    images: Sequence[ImageView],
    skipped_rows: int = 0,
    failures: tuple[FailureGroup, ...] = (),
    name: str = "가을 캠페인",
) -> BatchSummary:
    """The summary that goes with the images."""
    return BatchSummary(
        batch_id="b7f3k2",
        name=name,
        round=1,
        total=len(images) + skipped_rows,
        counts=Counter(each.state for each in images),
        skipped_rows=skipped_rows,
        models=("nano-banana-2",),
        started_at=STARTED,
        ended_at=STARTED + timedelta(seconds=754),
        spent_usd_micros=sum(each.cost_usd_micros for each in images),
        reused=0,
        failures=failures,
    )
