"""What the plain script and the stock chord share: buy, upload, write into the CMS, tell Slack – and no memory."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from pathlib import Path

import requests

TRIES = 3


def rows() -> list[dict[str, str]]:
    """The CSV: sku, name, color."""
    with Path("products.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def generate(row: dict[str, str]) -> str:
    """One paid call of the AnyCap program; returns the picture's path. Raises RuntimeError."""
    path = f"{row['sku']}.png"
    prompt = f"Product photo: {row['name']}, {row['color']}"
    command = ["anycap", "image", "generate", "--model", "nano-banana-2", "--prompt", prompt, "-o", path]
    ran = subprocess.run(command, capture_output=True, check=False)
    if ran.returncode or json.loads(ran.stdout).get("status") != "success":
        raise RuntimeError(ran.stdout.decode())
    return path


def upload(path: str) -> str:
    """Put the picture where the world sees it; returns its URL."""
    return str(shutil.copy(path, Path("output").absolute() / path))


def patch_cms(sku: str, url: str) -> None:
    """Write the URL into the CMS. Raises requests.RequestException."""
    answer = requests.patch(
        f"{os.environ['CMS_URL']}/api/products/{sku}",
        json={"image_url": url},
        headers={"Authorization": f"Bearer {os.environ['CMS_TOKEN']}"},
        timeout=30,
    )
    answer.raise_for_status()


def tell_slack(text: str) -> None:
    """Post to the incoming webhook."""
    requests.post(os.environ["SLACK_WEBHOOK_URL"], json={"text": text}, timeout=30)
