"""The same as a Celery canvas: tasks with retries and a rate limit, a chord of chains, Celery's default settings.

Usage: celery -A tests.bench.competitors.stock_canvas worker
       python -c "from tests.bench.competitors.stock_canvas import launch; launch('products.csv')"
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import boto3
import requests
from celery import Celery, chain, chord

TIMEOUT = (5, 300)
RETRYING: dict[str, Any] = {"autoretry_for": (Exception,), "retry_backoff": True, "max_retries": 3}

broker = os.environ["CELERY_BROKER_URL"]
app = Celery("stock", broker=broker, backend=broker)
session = requests.Session()
s3 = boto3.client("s3")


@app.task(rate_limit=os.environ.get("IMAGE_RATE_LIMIT"), **RETRYING)
def generate(row: dict[str, str]) -> str:
    """Buy one picture; returns its path."""
    prompt = f"Product photo: {row['name']}, {row['color']}"
    answer = session.post(os.environ["IMAGE_API_URL"], json={"prompt": prompt}, timeout=TIMEOUT)
    answer.raise_for_status()
    path = Path("output") / f"{row['sku']}.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(answer.content)
    return str(path)


@app.task(**RETRYING)
def upload_s3(path: str) -> str:
    """Put it into the bucket; returns its URL."""
    bucket, key = os.environ["S3_BUCKET"], Path(path).name
    s3.put_object(Bucket=bucket, Key=key, Body=Path(path).read_bytes(), ContentType="image/png")
    return f"https://{bucket}.s3.amazonaws.com/{key}"


@app.task(**RETRYING)
def patch_cms(url: str, sku: str) -> str:
    """Write the URL into the CMS."""
    address = f"{os.environ['CMS_URL']}/api/products/{sku}"
    session.patch(address, json={"image_url": url}, timeout=TIMEOUT).raise_for_status()
    return sku


@app.task(**RETRYING)
def slack_summary(published: list[str]) -> None:
    """Tell Slack."""
    text = f"{len(published)} published"
    session.post(os.environ["SLACK_WEBHOOK_URL"], json={"text": text}, timeout=TIMEOUT).raise_for_status()


def launch(source: str) -> None:
    """Send the chord."""
    with Path(source).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chord([chain(generate.s(row), upload_s3.s(), patch_cms.s(row["sku"])) for row in rows])(slack_summary.s())
