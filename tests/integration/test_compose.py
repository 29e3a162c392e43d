"""docker-compose.yml, read by the real Docker Compose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
COMPOSE = Path(sys.executable).with_name("docker-compose")
OURS = ("migrate", "worker", "beat", "flower")


def compose(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Compose on our file with nothing but these variables: a developer's .env is out of sight."""
    options = ["-f", str(ROOT / "docker-compose.yml"), "--project-directory", str(Path(__file__).parent)]
    command = [str(COMPOSE), *options, *arguments]
    plain = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(command, env=plain | environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services as Compose understands them."""
    ran = compose("config", "--format", "json", POSTGRES_PASSWORD="s3cret", FLOWER_BASIC_AUTH="me:pw")
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)["services"]
    return found


def test_compose_accepts_the_file_without_any_settings() -> None:
    """A newcomer's `docker compose config` is silent."""
    ran = compose("config", "--quiet")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_every_part_of_the_pipeline_is_there(services: dict[str, Any]) -> None:
    """The broker, the ledger, its migration, and the three Celery programs."""
    assert set(services) == {"valkey", "postgres", *OURS}
    assert services["worker"]["command"] == ["celery", "-A", "tasks", "worker"]
    assert services["beat"]["command"] == ["celery", "-A", "tasks", "beat"]
    assert "celery -A tasks flower" in services["flower"]["command"][-1]


def test_the_broker_keeps_what_it_holds(services: dict[str, Any]) -> None:
    """It writes an append-only file to a volume and never evicts."""
    command = " ".join(services["valkey"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert services["valkey"]["volumes"][0]["target"] == "/data"


def test_nothing_of_ours_starts_before_the_ledger_is_migrated(services: dict[str, Any]) -> None:
    """The migration runs once, after PostgreSQL is healthy, and the others wait for its success."""
    assert services["migrate"]["command"] == ["imagechord", "migrate"]
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in ("worker", "beat", "flower"):
        needs = services[name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert needs["valkey"]["condition"] == "service_healthy"


def test_our_services_share_broker_ledger_and_folders(services: dict[str, Any]) -> None:
    """One broker, one ledger, one home: else a worker would work for somebody else's batches."""
    for variable in ("IMAGECHORD_REDIS_URL", "IMAGECHORD_DATABASE_URL", "IMAGECHORD_HOME", "IMAGECHORD_OUTPUT"):
        assert len({services[name]["environment"][variable] for name in OURS}) == 1
    for name in OURS:
        assert {"home", "output"} <= {volume["source"] for volume in services[name]["volumes"]}


def test_only_flower_is_reachable_and_only_from_this_machine(services: dict[str, Any]) -> None:
    """No port is published to the network: Flower's metrics ask for no password."""
    published = {name: service["ports"] for name, service in services.items() if service.get("ports")}
    assert list(published) == ["flower"]
    assert [port["host_ip"] for port in published["flower"]] == ["127.0.0.1"]


def test_no_secret_has_a_default(services: dict[str, Any]) -> None:
    """Passwords come from the environment and stand in no URL."""
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == "s3cret"
    assert services["worker"]["environment"]["PGPASSWORD"] == "s3cret"
    assert services["flower"]["environment"]["FLOWER_BASIC_AUTH"] == "me:pw"
    assert "FLOWER_BASIC_AUTH" not in services["worker"]["environment"]
    assert "s3cret" not in services["worker"]["environment"]["IMAGECHORD_DATABASE_URL"]
    unset = json.loads(compose("config", "--format", "json").stdout)["services"]
    assert not unset["postgres"]["environment"]["POSTGRES_PASSWORD"]


def test_flower_without_a_password_says_which_variable_to_set(services: dict[str, Any]) -> None:
    """The container's own command stops before Celery is reached."""
    program, flag, script = services["flower"]["command"]
    ran = subprocess.run(
        [program, flag, script.replace("$$", "$")],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert ran.returncode != 0
    assert "set FLOWER_BASIC_AUTH=user:password in .env" in ran.stderr


def test_the_worker_may_finish_a_paid_call_when_it_is_stopped(services: dict[str, Any]) -> None:
    """Compose waits longer than the longest deadline of a call (five minutes) before it kills."""
    assert services["worker"]["stop_grace_period"] == "6m0s"
