"""The stock chord: the same steps as Celery tasks with Celery's defaults, retries and a callback."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, chord

from tests.faults.kill_demo import steps

app = Celery("stock", broker=os.environ.get("STOCK_URL"), backend=os.environ.get("STOCK_URL"))
app.conf.broker_connection_retry_on_startup = True
RETRYING: dict[str, Any] = {
    "autoretry_for": (RuntimeError, OSError),
    "retry_backoff": True,
    "max_retries": steps.TRIES - 1,
}


@app.task(**RETRYING)
def generate(row: dict[str, str]) -> str:
    """Buy."""
    return steps.generate(row)


@app.task(**RETRYING)
def upload_s3(path: str) -> str:
    """Upload."""
    return steps.upload(path)


@app.task(**RETRYING)
def patch_cms(url: str, sku: str) -> None:
    """Write."""
    steps.patch_cms(sku, url)


@app.task
def slack_summary(results: list[None]) -> None:
    """Tell."""
    steps.tell_slack(f"✅ {len(results)}")


def launch() -> None:
    """Send the chord."""
    chains = [generate.s(row) | upload_s3.s() | patch_cms.s(row["sku"]) for row in steps.rows()]
    steps.tell_slack(f"🚀 {len(chains)}")
    chord(chains)(slack_summary.s())
