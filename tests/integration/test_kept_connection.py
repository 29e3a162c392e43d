"""A server that sends a task for each webhook keeps its connection to the broker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stand_ins.valkey import ValkeyServer, valkey

SENDER = """\
import sys
from kombu.exceptions import OperationalError
from tasks import publishing
from tasks.celery import app

for line in sys.stdin:
    try:
        for _ in range(int(line)):
            with publishing.impatient() as producer:
                app.send_task("anything", queue="of-the-test", producer=producer, retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        print(type(error).__name__, flush=True)
    else:
        print("sent", flush=True)
"""


class Sender:
    """A process that sends as the endpoint does, so many tasks a line."""

    def __init__(self, url: str, folder: Path) -> None:
        environment = {**os.environ, "IMAGECHORD_REDIS_URL": url, "IMAGECHORD_HOME": str(folder)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, "-c", SENDER], stdin=pipe, stdout=pipe, text=True, bufsize=1, env=environment
        )

    def send(self, tasks: int) -> str:
        """``sent``, or the name of the error."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{tasks}\n")
        return self.process.stdout.readline().strip()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ValkeyServer]:
    """One that can be killed."""
    with valkey(tmp_path / "valkey") as server:
        yield server


@pytest.fixture
def sender(broker: ValkeyServer, tmp_path: Path) -> Iterator[Sender]:
    """Connected, when it has sent something."""
    started = Sender(broker.url, tmp_path)
    with started.process:
        yield started
        started.process.kill()


def test_a_kept_connection(broker: ValkeyServer, sender: Sender) -> None:
    """50 tasks cost no new connection; one that has died meanwhile is noticed, and the next task has another."""
    assert sender.send(1) == "sent"
    with broker.client() as client:
        before = client.info("stats")["total_connections_received"]
        assert sender.send(50) == "sent"
        assert client.info("stats")["total_connections_received"] == before
        assert client.llen("of-the-test") == 51
    broker.kill()
    assert sender.send(1) == "OperationalError"
    broker.start()
    assert sender.send(1) == "sent"
    with broker.client() as client:
        assert client.llen("of-the-test") == 52
