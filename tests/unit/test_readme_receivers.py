"""The receivers of README.md, run as they stand there: what is signed well is taken, once, and nothing else."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest

from tasks.core.standard_webhooks import sign
from tests.stand_ins.webhook_receiver import SECRET
from tests.unit.test_readme import ROOT, blocks

RECEIVERS = {
    name: code
    for name in ("flask", "django")
    for code in blocks("python")
    if "standardwebhooks" in code and f"from {name}" in code
}
POSTS = {
    "flask": """
client = app.test_client()
def post(body, headers):
    return client.post("/webhooks/images", data=body, headers=headers).status_code
""",
    "django": """
from django.conf import settings
settings.configure(ALLOWED_HOSTS=["*"])
from django.test import RequestFactory
def post(body, headers):
    request = RequestFactory().post("/", body, content_type="application/json", headers=headers)
    return images(request).status_code
""",
}
DRIVER = """
import base64, json, sys
statuses = [post(base64.b64decode(body), headers) for body, headers in json.load(sys.stdin)]
print(json.dumps([statuses, list(pictures.values())]))
"""


def event(state: str, sequence: int) -> bytes:
    """What becomes of one picture."""
    data = {"sku": "컵-1", "variant": 1, "state": state, "sequence": sequence, "url": f"https://cdn/{sequence}"}
    return json.dumps({"type": f"image.{state}", "data": data}).encode()


def post(body: bytes, *, secret: str = SECRET, age_seconds: int = 0, **changes: str) -> tuple[str, dict[str, str]]:
    """The body, and the headers of the three kinds."""
    now = int(time.time()) - age_seconds
    signature = sign(secret, "evt_1", now, body)
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(now), "webhook-signature": signature}
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    return base64.b64encode(body).decode(), {name: value for name, value in (headers | changed).items() if value}


@pytest.mark.parametrize("framework", RECEIVERS)
def test_a_receiver_takes_what_is_signed_well_and_keeps_the_newest(framework: str) -> None:
    """A repetition and a late one change nothing; forged, old and broken ones are refused."""
    good = post(event("published", 3))
    batch = post(json.dumps({"type": "batch.finished", "data": {"sequence": 9}}).encode())
    told: list[Any] = [post(event("generated", 1)), good, good, post(event("uploaded", 2)), batch]
    forged: list[Any] = [
        post(event("failed", 10), secret="whsec_" + base64.b64encode(b"another").decode()),
        (base64.b64encode(event("failed", 11)).decode(), good[1]),
        post(event("failed", 12), age_seconds=3600),
        post(event("failed", 13), webhook_signature="v1,none"),
        post(event("failed", 14), webhook_signature="nothing"),
        post(event("failed", 15), webhook_signature=""),
        post(b"\xff\xfe"),
    ]
    ran = subprocess.run(
        [sys.executable, "-c", RECEIVERS[framework] + POSTS[framework] + DRIVER],
        input=json.dumps(told + forged),
        env={**os.environ, "WEBHOOK_SECRET": SECRET},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    statuses, pictures = json.loads(ran.stdout)
    assert statuses == [204] * len(told) + [401] * len(forged)
    assert pictures == [[3, "published", "https://cdn/3"]]


def test_there_is_a_receiver_for_each_framework() -> None:
    """The README still has both."""
    assert set(RECEIVERS) == {"flask", "django"}
