"""A plain script: 32 threads, a session for each, three tries of every call with growing waits, no queue.

Usage: python -m tests.bench.competitors.thread_pool products.csv
"""

from __future__ import annotations

import csv
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import boto3
import requests
from botocore.config import Config

THREADS = 32
TRIES = 3
TIMEOUT = (5, 300)

T = TypeVar("T")
local = threading.local()
s3 = boto3.client("s3", config=Config(max_pool_connections=THREADS))


def session() -> requests.Session:
    """The session of this thread."""
    if not hasattr(local, "session"):
        local.session = requests.Session()
    made: requests.Session = local.session
    return made


def retrying(call: Callable[..., T], *arguments: object) -> T:
    """Three tries, one and two seconds apart. Raises what the last one raised."""
    for attempt in range(TRIES):
        try:
            return call(*arguments)
        except Exception:
            if attempt == TRIES - 1:
                raise
            time.sleep(2**attempt)
    raise AssertionError


def generate(row: dict[str, str]) -> bytes:
    """Buy one picture."""
    prompt = f"Product photo: {row['name']}, {row['color']}"
    answer = session().post(os.environ["IMAGE_API_URL"], json={"prompt": prompt}, timeout=TIMEOUT)
    answer.raise_for_status()
    return answer.content


def upload(sku: str, picture: bytes) -> str:
    """Put it into the bucket; returns its URL."""
    bucket = os.environ["S3_BUCKET"]
    s3.put_object(Bucket=bucket, Key=f"{sku}.png", Body=picture, ContentType="image/png")
    return f"https://{bucket}.s3.amazonaws.com/{sku}.png"


def patch_cms(sku: str, url: str) -> None:
    """Write the URL into the CMS."""
    address = f"{os.environ['CMS_URL']}/api/products/{sku}"
    session().patch(address, json={"image_url": url}, timeout=TIMEOUT).raise_for_status()


def one(row: dict[str, str]) -> bool:
    """Carry one row through; ``False`` when a call's tries are used up."""
    try:
        picture = retrying(generate, row)
        url = retrying(upload, row["sku"], picture)
        retrying(patch_cms, row["sku"], url)
    except Exception as error:  # noqa: BLE001 - one row shall not stop the others
        print(row["sku"], error, file=sys.stderr)
        return False
    return True


def main() -> None:
    """Read the CSV, do the work, tell Slack."""
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with ThreadPoolExecutor(THREADS) as pool:
        done = sum(pool.map(one, rows))
    requests.post(os.environ["SLACK_WEBHOOK_URL"], json={"text": f"{done}/{len(rows)} published"}, timeout=TIMEOUT)


if __name__ == "__main__":
    main()
