"""``celery -A tasks beat``, ``flower`` and ``control``: the real programs, with no further flags than needed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from tasks.core.routing import generate_task, model_queue
from tasks.settings import load_settings
from tests.integration.programs import CELERY, ROOT, WORKER, Stack, private_stack
from tests.stand_ins.ports import free_ports, wait_until_up
from tests.waiting import wait_until

MODELS = list(load_settings().catalogue.models)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A Valkey and a home."""
    with private_stack(tmp_path) as running:
        yield running


def test_beat_sends_the_sweep_and_writes_no_file(stack: Stack) -> None:
    """A fresh machine needs no folder made first, and a read-only working folder will do."""
    overlay = stack.folder / "config"
    overlay.mkdir()
    (overlay / "imagechord.toml").write_text("sweep_every_seconds = 0.2\n")
    elsewhere = stack.folder / "elsewhere"
    elsewhere.mkdir()
    with (
        stack.running({"beat": [*CELERY, "-A", "tasks", "beat"]}, elsewhere, IMAGECHORD_CONFIG=str(overlay)),
        redis.Redis.from_url(stack.environment["IMAGECHORD_REDIS_URL"]) as broker,
    ):
        wait_until(lambda: broker.llen("imagechord.control"), what="a message from beat")
        message = json.loads(broker.lindex("imagechord.control", 0))

    assert message["headers"]["task"] == "imagechord.sweep"
    assert list(elsewhere.iterdir()) == []
    assert not (stack.folder / "home").exists()


def registered(flower: str) -> dict[str, Any]:
    """What Flower knows of the one worker after asking it."""
    workers = requests.get(f"{flower}/api/workers", params={"refresh": "true"}, timeout=10).json()
    return dict(next(iter(workers.values()), {}))


def test_flower_shows_one_task_type_and_one_queue_per_model(stack: Stack) -> None:
    """Each with its own rate limit, which `celery control rate_limit` changes while the worker runs."""
    port = free_ports(1)[0]
    flower = f"http://127.0.0.1:{port}"
    commands = {
        "worker": WORKER,
        "flower": [*CELERY, "-A", "tasks", "flower", "--address=127.0.0.1", f"--port={port}"],
    }
    with stack.running(commands, FLOWER_UNAUTHENTICATED_API="true"):
        wait_until_up(f"{flower}/healthcheck", stack.folder / "flower.log")
        wait_until(lambda: registered(flower).get("registered"), what="the worker in Flower")

        limit = ["control", "rate_limit", "imagechord.generate.seedream-5", "7/m"]
        environment = {**os.environ, **stack.environment}
        subprocess.run([*CELERY, "-A", "tasks", *limit], env=environment, cwd=ROOT, check=True, capture_output=True)
        worker = registered(flower)

    types = {name: options for name, _, options in (entry.partition(" ") for entry in worker["registered"])}
    assert {name for name in types if ".generate." in name} == {generate_task(model) for model in MODELS}
    assert types["imagechord.generate.seedream-5"] == "[rate_limit=7/m]"
    assert types["imagechord.generate.nano-banana-2"] == "[rate_limit=60/m]"
    queues = {queue["name"] for queue in worker["active_queues"]}
    assert queues == {*map(model_queue, MODELS), "imagechord.deliver", "imagechord.control"}
