"""The processes of docker-compose.yml, from its commands, environment, secrets and health checks, without containers.

Not run: the images themselves, and versitygw, whose place moto takes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests

from tasks.devstack.valkey import _binary as valkey_server
from tests.stand_ins.missing import missing_service
from tests.stand_ins.ports import wait_until_up
from tests.stand_ins.postgres import PostgresUnavailable, postgres
from tests.stand_ins.postgres import _binary as of_postgres
from tests.stand_ins.supervisor import supervised
from tests.stand_ins.uncontained import ROOT, Uncontained, make_project, understood
from tests.waiting import wait_until

WORKERS = ("generate", "deliver", "control")
OURS = (*WORKERS, "beat", "web", "flower")


def dotenv_of_the_head() -> str:
    """The lines that the head of docker-compose.yml says to put into ``.env``."""
    head = (ROOT / "docker-compose.yml").read_text("utf-8").partition("name: imagechord")[0]
    return "".join(f"{line}\n" for line in re.findall(r"^#   ([A-Z_0-9]+=.*)$", head, re.MULTILINE))


def program(name: str) -> str:
    """Where a program is; skipped on a laptop without it, a failure in CI."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    return found or missing_service(f"{name} is not installed")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uncontained]:
    """All of them at work, S3 for development included."""
    folder = tmp_path_factory.mktemp("compose")
    programs = folder / "programs"
    programs.mkdir()
    (programs / "valkey-server").symlink_to(valkey_server())
    (programs / "valkey-cli").symlink_to(program("redis-cli"))
    (programs / "pg_isready").symlink_to(of_postgres("pg_isready"))
    program("haproxy")
    dotenv = dotenv_of_the_head()
    assert "COMPOSE_PROFILES=dev" in dotenv
    told = understood(make_project(folder / "project", dotenv), "--profile", "cli", "--profile", "dev")
    stack = Uncontained(told, folder / "inside", [programs, Path(sys.executable).parent])
    with ExitStack() as started:
        _start(stack, started)
        yield stack


def _start(stack: Uncontained, started: ExitStack) -> None:
    """In the order that ``depends_on`` says."""
    valkey = [*stack.command("valkey"), "--bind", "127.0.0.1", "--port", str(stack.port(6379))]
    moto = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(stack.port(7070))]
    started.enter_context(supervised({"valkey": valkey, "s3": moto}, stack.folder, cwd=stack.folder))
    try:
        server = started.enter_context(postgres(stack.port(5432)))
    except PostgresUnavailable as error:
        missing_service(str(error))
    with server.connect() as connection:
        connection.execute("CREATE ROLE imagechord LOGIN")
        connection.execute("CREATE DATABASE imagechord OWNER imagechord")
    ran = stack.run(stack.command("migrate"))
    assert ran.returncode == 0, ran.stderr
    wait_until_up(f"http://127.0.0.1:{stack.port(7070)}/moto-api/", stack.folder / "s3.log")
    ran = stack.run(stack.command("s3-bucket"))
    assert ran.returncode == 0, ran.stderr
    for names in (WORKERS, ("beat", "web", "flower", "flower-proxy")):
        commands = {name: stack.command(name) for name in names}
        started.enter_context(supervised(commands, stack.folder, cwd=stack.folder / "data"))
    for name in WORKERS:
        # Not by the check: each try would take the processor from those who are starting.
        wait_until(lambda: "ready." in log(stack, name), 60, f"the worker {name}")  # noqa: B023 – asked now
    for name in ("web", "flower", "flower-proxy"):
        wait_until(lambda: stack.check(name).returncode == 0, 60, f"the health of {name}")  # noqa: B023 – asked now


def log(stack: Uncontained, name: str) -> str:
    """What a service has said so far."""
    file = stack.folder / f"{name}.log"
    return file.read_text(errors="replace") if file.exists() else ""


def test_every_service_becomes_healthy_by_its_own_check(stack: Uncontained) -> None:
    """Each that goes on running has a check, and each check succeeds beside its process."""
    checked = {name for name, service in stack.services.items() if "healthcheck" in service}
    assert checked == {*OURS, "valkey", "postgres", "flower-proxy", "s3"}
    for name in checked - {"s3"}:
        wait_until(lambda: stack.check(name).returncode == 0, 60, f"the health of {name}")  # noqa: B023 – asked now


def test_checks_tell_the_living_from_the_dead(stack: Uncontained) -> None:
    """A worker that is not there, and a beat that has stopped writing its schedule."""
    assert stack.check("generate", timeout_seconds=1, HOSTNAME="elsewhere").returncode != 0
    schedule = next((stack.folder / "tmp").glob("beat*"))
    times = schedule.stat()
    for each in (stack.folder / "tmp").glob("beat*"):
        os.utime(each, (time.time() - 700, time.time() - 700))
    assert stack.check("beat").returncode != 0
    os.utime(schedule, (times.st_atime, times.st_mtime))
    assert stack.check("beat").returncode == 0


def test_a_batch_goes_through(stack: Uncontained) -> None:
    """Ordered by the command line, made by one worker, delivered by another, seen by whoever has the token."""
    (stack.folder / "data" / "products.csv").write_text("sku,name,color\nMUG-001,Mug,blue\nBAG-002,Bag,natural\n")
    order = ("run", "products.csv", "--template", "product_hero", "--model", "preview", "--rehearse-delivery")
    ran = stack.run([*stack.command("cli", *order)])
    assert ran.returncode == 0, ran.stdout + ran.stderr

    site = f"http://127.0.0.1:{stack.port(8000)}"
    assert requests.get(f"{site}/api/batches", timeout=10).status_code == 401
    token = {"Authorization": f"Bearer {stack.secret('web_token')}"}
    (batch,) = requests.get(f"{site}/api/batches", headers=token, timeout=10).json()["batches"]
    images = requests.get(f"{site}/api/batches/{batch['batch']}/images", headers=token, timeout=10).json()["images"]
    assert {image["state"] for image in images} == {"published"}
    public = stack.here("http://127.0.0.1:7070/pictures/")
    for image in images:
        assert image["public_url"].startswith(public)
        assert requests.get(image["public_url"], timeout=10).headers["Content-Type"].startswith("image/")


def test_only_volumes_and_tmp_are_written_to(stack: Uncontained) -> None:
    """The containers' file systems are read-only: what is mounted into them, and /tmp, has to be enough."""
    mounted = {volume["target"] for service in stack.services.values() for volume in service.get("volumes", ())}
    written = {f"/{path.relative_to(stack.folder)}" for path in (stack.folder / "data").iterdir()}
    assert written - mounted <= {"/data/products.csv", "/data/.secrets"}
    assert {path.name for path in (stack.folder / "usr").rglob("*")} == {"local", "etc", "haproxy", "flower.cfg"}


def test_every_queue_has_a_worker(stack: Uncontained) -> None:
    """The three kinds together serve what one worker for everything would, as `doctor` sees it."""
    health = json.loads(stack.run(stack.command("cli", "doctor", "--json")).stdout)
    found = {one["component"]: one for one in health["components"]}
    for component in ("broker", "ledger", "cluster", "workers"):
        assert found[component]["status"] == "ok", found[component]
    secret = {one["name"]: one for one in health["variables"]}["IMAGECHORD_DATABASE_URL"]
    assert (secret["value"], Path(secret["source"]).name) == (None, "database_url")


def answered(port: int, path: str, auth: str = "") -> tuple[int, str]:
    """Status and text for a path exactly as it is spelled, which `requests` would tidy up."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    with closing(connection):
        headers = {"Authorization": f"Basic {b64encode(auth.encode()).decode()}"} if auth else {}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_flowers_open_pages_are_not_there_from_outside(stack: Uncontained) -> None:
    """Flower answers these without a password; its only published door does not, however they are spelled."""
    flower, door, auth = stack.port(5555), stack.port(8080), stack.secret("flower_basic_auth")
    assert answered(flower, "/healthcheck") == (200, "OK")
    assert "flower_" in answered(flower, "/metrics")[1]
    for path in ("/metrics", "/healthcheck", "/metrics?x=1", "/METRICS", "//metrics", "/%6detrics", "/x/../metrics"):
        for known in ("", auth):
            status, text = answered(door, path, known)
            assert status in {401, 404}, path
            assert "flower_" not in text
    assert answered(door, "/workers")[0] == 401
    assert "generate@" in answered(door, "/workers", auth)[1]


@pytest.mark.parametrize("content", ["", "admin", "admin:", ":secret"])
def test_flower_without_a_password_does_not_start(stack: Uncontained, tmp_path: Path, content: str) -> None:
    """Its own command stops before Celery is reached, and names the file."""
    (tmp_path / "auth").write_text(content)
    command = [each for each in stack.command("flower") if not each.startswith("FLOWER_BASIC_AUTH_FILE=")]
    ran = stack.run([*command[:2], f"FLOWER_BASIC_AUTH_FILE={tmp_path / 'auth'}", *command[2:]])
    assert ran.returncode == 2
    assert ".secrets/flower_basic_auth must hold user:password" in ran.stderr
