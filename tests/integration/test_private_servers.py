"""A broker behind TLS with a user of its own, a ledger with a password: everything works, and no password shows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
import requests

from tasks.core.states import State
from tests.integration.conftest import MakeStack
from tests.integration.stack import Stack, rows
from tests.stand_ins.certificates import server_tls
from tests.stand_ins.fault_proxy import FaultProxy
from tests.stand_ins.ports import free_ports, wait_until_up
from tests.stand_ins.postgres import PostgresServer
from tests.stand_ins.supervisor import supervised
from tests.stand_ins.valkey import valkey
from tests.waiting import wait_until

NAMES = [f"cup-{n}" for n in range(6)]
SECRET = "hush/hush:hush@hush"
IMAGECHORD = str(Path(sys.executable).with_name("imagechord"))
CELERY = (sys.executable, "-m", "celery", "-A", "tasks")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A broker that only its user ``shop`` may use, and only over TLS: its URL, and who vouches for it."""
    users = ["--user", "shop", "on", f">{SECRET}", "~*", "&*", "+@all", "--user", "default", "off"]
    context, certificate = server_tls(tmp_path)
    with valkey(tmp_path / "broker", *users) as server, FaultProxy(server.address, tls=context) as proxy:
        yield f"rediss://shop:{quote(SECRET, safe='')}@127.0.0.1:{proxy.port}/0", certificate


def run(stack: Stack, *command: str) -> str:
    """Run a program of the stack; returns all that it says."""
    ran = subprocess.run(
        command, env=stack.environment, cwd=stack.folder, capture_output=True, text=True, timeout=60, check=False
    )
    return ran.stdout + ran.stderr


def health(stack: Stack) -> dict[str, str]:
    """What doctor says, by component; without the password."""
    check_hushed(run(stack, IMAGECHORD, "doctor"))
    told = run(stack, IMAGECHORD, "doctor", "--json")
    check_hushed(told)
    return {part["component"]: part["status"] for part in json.loads(told)["components"]}


def check_hushed(text: str) -> None:
    """The password is in no spelling of it."""
    assert "hush" not in text, text


def test_a_batch_over_tls_as_an_acl_user(make_stack: MakeStack, broker: tuple[str, Path]) -> None:
    """Worker, limiter, Python API and doctor take the URL as redis-py writes it; logs do not tell the password."""
    url, certificate = broker
    stack = make_stack(IMAGECHORD_REDIS_URL=f"{url}?ssl_ca_certs={quote(str(certificate), safe='')}")
    worker = stack.start_worker()
    batch_id = stack.submit(rows(NAMES), model="paced")
    stack.python(f"from tasks.batches import start; start({batch_id!r})")
    stack.wait(batch_id)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert stack.services.limits.state("paced").started_today == len(NAMES)
    assert health(stack)["broker"] == "ok"
    check_hushed(run(stack, *CELERY, "report"))
    worker.terminate()
    worker.process.wait(20)
    check_hushed(worker.words)


def test_flower_over_tls(make_stack: MakeStack, broker: tuple[str, Path]) -> None:
    """Flower looks into the queues over TLS, and shows the broker without the password."""
    url, certificate = broker
    stack = make_stack(IMAGECHORD_REDIS_URL=f"{url}?ssl_ca_certs={certificate}")
    (port,) = free_ports(1)
    flower = f"http://127.0.0.1:{port}"
    command = [*CELERY, "flower", "--address=127.0.0.1", f"--port={port}"]
    environment = {**stack.environment, "FLOWER_UNAUTHENTICATED_API": "true"}
    with supervised({"flower": command}, stack.folder, environment, stack.folder):
        wait_until_up(f"{flower}/healthcheck", stack.folder / "flower.log")
        check_hushed(requests.get(f"{flower}/broker", timeout=10).text)
        # Flower gives a connection one second, which is little while it starts.
        wait_until(lambda: requests.get(f"{flower}/api/queues/length", timeout=10).ok, what="the queues in Flower")
    check_hushed((stack.folder / "flower.log").read_text())


def test_a_server_that_nobody_vouches_for_is_not_talked_to(make_stack: MakeStack, broker: tuple[str, Path]) -> None:
    """``rediss://`` without more means a certificate that the system trusts, for Celery as for redis-py."""
    url, _certificate = broker
    stack = make_stack(IMAGECHORD_REDIS_URL=url)
    with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        stack.services.redis.ping()
    ask = "from tasks.celery import app\nwith app.connection_for_write() as c: c.ensure_connection(max_retries=1)"
    told = run(stack, sys.executable, "-c", ask)
    assert "CERTIFICATE_VERIFY_FAILED" in told
    check_hushed(told)
    assert health(stack)["broker"] == "bad"


def test_a_ledger_with_a_password(make_stack: MakeStack, postgres_server: PostgresServer) -> None:
    """Neither doctor nor a worker's log tells it, with the server there or away."""
    url = postgres_server.create_database().replace("@/", ":hush@/")
    stack = make_stack(IMAGECHORD_DATABASE_URL=url)
    check_hushed(run(stack, IMAGECHORD, "migrate"))
    worker = stack.start_worker()
    batch_id = stack.run(rows(NAMES))
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert health(stack)["ledger"] == "ok"
    stack.services.ledger.close()
    postgres_server.stop()
    assert health(stack)["ledger"] == "bad"
    postgres_server.start()
    worker.terminate()
    worker.process.wait(20)
    check_hushed(worker.words)
