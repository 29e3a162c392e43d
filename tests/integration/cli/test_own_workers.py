"""The command beside a broker and workers of the user's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tasks.devstack.valkey import EmbeddedValkey
from tests.integration.cli.shop import ARTICLE, Shop, interrupt
from tests.stand_ins.ports import free_ports
from tests.waiting import wait_until

PREVIEW = ("products.csv", "-t", "product", "-m", "preview")


@pytest.fixture
def server(shop: Shop) -> Iterator[EmbeddedValkey]:
    """A broker that the shop's REDIS_URL names."""
    with EmbeddedValkey() as valkey:
        shop.environment["REDIS_URL"] = valkey.url
        shop.write("products.csv", ARTICLE)
        yield valkey


@contextmanager
def worker(shop: Shop) -> Iterator[None]:
    """``celery -A tasks worker``, until its queues are served."""
    with (shop.folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "tasks", "worker"],
            cwd=shop.folder,
            env=shop.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: "ok   workers" in shop.call("doctor").stdout, 30, "a living worker")
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_submit_without_a_broker_says_what_to_set(shop: Shop) -> None:
    """Nothing is submitted to nobody."""
    shop.write("products.csv", ARTICLE)

    ran = shop.call("submit", *PREVIEW)

    assert ran.returncode == 2
    assert "REDIS_URL" in ran.stderr
    assert shop.files() == {"products.csv"}


def test_a_broker_that_does_not_answer_is_said_at_once(shop: Shop) -> None:
    """By run and by submit, before anything is written, and without the password."""
    shop.write("products.csv", ARTICLE)
    shop.environment["REDIS_URL"] = f"redis://:hush@127.0.0.1:{free_ports(1)[0]}/0"

    for command in ("run", "submit"):
        ran = shop.call(command, *PREVIEW)
        assert ran.returncode == 2
        assert "does not answer" in ran.stderr
        assert "hush" not in ran.stderr


def test_without_a_worker_run_refuses_and_submit_waits(shop: Shop, server: EmbeddedValkey) -> None:
    """Never hang silently: run says which queues nobody serves; what was submitted is done when a worker comes."""
    refused = shop.call("run", *PREVIEW)
    assert refused.returncode == 2
    assert "no worker serves imagechord.preview" in refused.stderr
    assert "celery -A tasks worker" in refused.stderr

    submitted = shop.call("submit", *PREVIEW)
    assert submitted.returncode == 0, submitted.stderr
    batch = submitted.stdout.strip()
    assert "the batch waits until you start one" in submitted.stderr
    assert f"Next: imagechord watch {batch}" in submitted.stderr

    watching = shop.start("watch", batch)
    assert watching.stderr is not None
    wait_until(lambda: "no worker serves" in watching.stderr.readline(), 20, "the word that nobody serves it")
    interrupt(watching)
    _out, told = watching.communicate(timeout=10)
    assert watching.returncode == 130
    assert f"{batch} goes on" in told

    with worker(shop):
        ran = shop.call("watch", batch)
        assert ran.returncode == 0, ran.stderr
        assert "✅ 3/3" in ran.stdout
        again = shop.call("run", *PREVIEW, "--json")
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout)["reused"] == 3


def test_a_broker_that_evicts_keys_is_refused(shop: Shop, server: EmbeddedValkey) -> None:
    """A shop's cache would lose pictures."""
    import redis

    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")

    for command in ("run", "submit"):
        ran = shop.call(command, *PREVIEW)
        assert ran.returncode == 2
        assert "evicts keys" in ran.stderr
        assert "noeviction" in ran.stderr
