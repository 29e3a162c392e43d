"""docker-compose.yml, read by the real Docker Compose, and the Dockerfile, read by hadolint."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.core.routing import CONTROL_QUEUE, DELIVER_QUEUE
from tasks.providers.base import QueueProvider
from tasks.services import Services
from tasks.settings import SECRETS, load_settings
from tests.stand_ins.uncontained import ROOT, compose, make_project, understood

WITH_KEYS = ("generate", "deliver", "control", "web", "cli")
OURS = (*WITH_KEYS, "migrate", "beat", "flower", "s3-bucket")
THEIRS = ("valkey", "postgres", "flower-proxy", "s3")
ONCE = ("migrate", "s3-bucket", "cli")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose secrets are made, with a key in ``.env``."""
    return make_project(tmp_path_factory.mktemp("clone") / "shop", "OPENAI_API_KEY=sk-of-dotenv\n")


@pytest.fixture(scope="module")
def services(project: Path) -> dict[str, Any]:
    """All services as Compose understands them."""
    found: dict[str, Any] = understood(project, "--profile", "dev", "--profile", "cli")["services"]
    return found


def test_compose_accepts_the_file_without_any_settings(tmp_path: Path) -> None:
    """A newcomer's `docker compose config` is silent."""
    for profiles in ((), ("--profile", "dev", "--profile", "cli")):
        ran = compose(tmp_path, *profiles, "config", "--quiet")
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_hadolint_finds_nothing_to_say_about_the_dockerfile() -> None:
    """No rule of it is switched off either."""
    linter = Path(sys.executable).with_name("hadolint")
    ran = subprocess.run([linter, ROOT / "scripts" / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "hadolint ignore" not in (ROOT / "scripts" / "Dockerfile").read_text()


def test_the_image_has_pinned_bases_no_installer_and_no_root() -> None:
    """Each stage names an exact version; the last one copies what was installed, and runs as a number."""
    dockerfile = (ROOT / "scripts" / "Dockerfile").read_text()
    bases = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    pinned = dockerfile.replace("${PYTHON}", re.findall(r"^ARG PYTHON=(\S+)", dockerfile, re.MULTILINE)[0])
    assert all(re.search(r":\d+\.\d+\.\d+-", base) for base in re.findall(r"^FROM (\S+)", pinned, re.MULTILINE))
    last = dockerfile.rpartition(f"FROM {bases[-1]}")[2]
    assert not re.search(r"\b(pip|apt-get|npm) ", last)
    assert re.search(r"^USER (\d+):\d+$", last, re.MULTILINE)
    assert "--without-pip" in dockerfile


def test_the_image_is_built_from_named_files_only() -> None:
    """Neither .env nor .secrets, nor anything else that is not in the list, comes into the build."""
    first, *named = (ROOT / "scripts" / "Dockerfile.dockerignore").read_text().splitlines()[1:]
    assert first == "*"
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "scripts" / "Dockerfile").read_text(), re.MULTILINE)
    assert {f"!{file}" for line in copied for file in line.split()} == {each for each in named if each.startswith("!")}


def test_every_part_of_the_pipeline_is_there(services: dict[str, Any]) -> None:
    """Those that go on running come with plain `up`; S3 is for development, the command line for whoever runs it."""
    assert set(services) == {*OURS, *THEIRS}
    profiles = {name: service["profiles"] for name, service in services.items() if service.get("profiles")}
    assert profiles == {"s3": ["dev"], "s3-bucket": ["dev"], "cli": ["cli"]}


def test_each_kind_of_queue_has_its_worker(services: dict[str, Any]) -> None:
    """Models' queues are those that are left, so that a new model needs no change here."""
    commands = {name: " ".join(services[name]["command"]) for name in ("generate", "deliver", "control")}
    assert commands["generate"].endswith(f"--exclude-queues={DELIVER_QUEUE},{CONTROL_QUEUE}")
    assert commands["deliver"].endswith(f"--queues={DELIVER_QUEUE}")
    assert commands["control"].endswith(f"--queues={CONTROL_QUEUE}")


def test_there_is_one_beat(project: Path, services: dict[str, Any]) -> None:
    """Compose refuses to make a second container of the same name; another project's has another."""
    assert services["beat"]["container_name"] == "imagechord-beat"
    other = compose(project, "--project-name", "other", "config", "--format", "json").stdout
    assert '"container_name": "other-beat"' in other


def test_the_broker_keeps_what_it_holds(services: dict[str, Any]) -> None:
    """It writes an append-only file to a volume, never evicts, and may rewrite the file within its limit."""
    command = " ".join(services["valkey"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert services["valkey"]["volumes"][0]["target"] == "/data"
    most = int(re.findall(r"--maxmemory (\d+)mb", command)[0]) * 2**20
    assert int(services["valkey"]["deploy"]["resources"]["limits"]["memory"]) > 2 * most


def test_nothing_of_ours_starts_before_the_ledger_is_migrated(services: dict[str, Any]) -> None:
    """The migration runs once, after PostgreSQL is healthy, and the others wait for its success."""
    assert services["migrate"]["command"] == ["imagechord", "migrate"]
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in (*WITH_KEYS, "beat", "flower"):
        needs = services[name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert needs["valkey"]["condition"] == "service_healthy"
        assert needs["s3-bucket"]["required"] is False


def test_our_services_share_broker_ledger_and_folders(services: dict[str, Any]) -> None:
    """One broker, one ledger, one home: else a worker would work for somebody else's batches."""
    for variable in ("IMAGECHORD_REDIS_URL", "IMAGECHORD_DATABASE_URL_FILE", "IMAGECHORD_HOME", "IMAGECHORD_OUTPUT"):
        assert len({services[name]["environment"][variable] for name in WITH_KEYS}) == 1
    for name in WITH_KEYS:
        assert {"home", "output"} <= {volume.get("source") for volume in services[name]["volumes"]}


@pytest.mark.parametrize("name", [*OURS, *THEIRS])
def test_every_service_is_locked_down(services: dict[str, Any], name: str) -> None:
    """Not root, nothing to write to but volumes and /tmp, no capability, limits, and a log that stays small."""
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    user = service.get("user", "")
    assert user == "" if name in OURS else re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)  # ours: the image's USER
    assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
    assert service["logging"] == {"driver": "local", "options": {"max-size": "10m", "max-file": "5"}}
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert ("healthcheck" in service) == (name not in ONCE)
    assert not service["image"].endswith(":latest")
    assert ":" in service["image"]


def test_only_this_machine_reaches_what_is_published(services: dict[str, Any]) -> None:
    """The site, the door to Flower, and S3 for development; neither Flower, nor the broker, nor the ledger."""
    ports = [(name, port) for name, service in services.items() for port in service.get("ports", ())]
    published = {(name, port["published"]) for name, port in ports}
    assert published == {("web", "8000"), ("flower-proxy", "5555"), ("s3", "7070")}
    assert {port["host_ip"] for _, port in ports} == {"127.0.0.1"}


def test_what_needs_no_way_out_has_none(project: Path, services: dict[str, Any]) -> None:
    """Broker, ledger, beat and Flower are on a network that leads nowhere."""
    assert understood(project)["networks"]["inside"]["internal"] is True
    for name in ("valkey", "postgres", "migrate", "beat", "flower"):
        assert list(services[name]["networks"]) == ["inside"]


def test_no_secret_of_the_stack_is_in_an_environment(project: Path, services: dict[str, Any]) -> None:
    """`docker inspect` shows paths of files. The keys of ``.env`` reach those alone who need them."""
    secrets = [file.read_text() for file in (project / ".secrets").rglob("*") if file.is_file()]
    for name, service in services.items():
        told = service.get("environment", {})
        assert not [secret for secret in secrets if secret in str(service)]
        assert not {variable for variable in SECRETS & set(told) if told[variable] and "REDIS" not in variable} - {
            "OPENAI_API_KEY"
        }
        assert ("OPENAI_API_KEY" in told) == (name in WITH_KEYS)
    own = {name: {each["source"] for each in service.get("secrets", ())} for name, service in services.items()}
    assert own["flower"] == {"flower_basic_auth"}
    assert own["beat"] == own["valkey"] == own["flower-proxy"] == set()
    assert all(own[name] == {"database_url", "web_token"} for name in WITH_KEYS)


def test_the_command_lines_own_database_and_token_do_not_get_in_the_way(tmp_path: Path) -> None:
    """A ``.env`` of `imagechord init` names both; in the containers the files hold."""
    dotenv = "IMAGECHORD_DATABASE_URL=sqlite:///mine\nIMAGECHORD_WEB_TOKEN=mine\nIMAGECHORD_HOME=./.imagechord\n"
    found = understood(make_project(tmp_path / "shop", dotenv))["services"]["web"]["environment"]
    assert not found["IMAGECHORD_DATABASE_URL"]
    assert not found["IMAGECHORD_WEB_TOKEN"]
    assert found["IMAGECHORD_HOME"] == "/data/home"


def test_secrets_are_made_once_and_differ(project: Path) -> None:
    """A second run changes nothing, or the database would not know its password any more."""
    folder = project / ".secrets"

    def contents() -> dict[str, str]:
        return {file.name: file.read_text() for file in folder.rglob("*") if file.is_file()}

    before = contents()
    again = subprocess.run([project / "scripts" / "compose-secrets"], capture_output=True, text=True, check=True)
    assert (contents(), again.stdout) == (before, "")
    assert before["postgres_password"] in before["database_url"]
    made = [before[name].rpartition(":")[2] for name in before if name != "database_url"]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[0-9a-f]{48}", each) for each in made)


def test_secrets_can_be_read_in_containers_and_by_nobody_else(project: Path) -> None:
    """Each container's user is another, so the files are open and their folder is not."""
    folder = project / ".secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.rglob("*") if file.is_file()} == {0o444}
    assert ".secrets/" in (ROOT / ".gitignore").read_text().split()


def longest_call_seconds() -> float:
    """The longest deadline of the models whose maker answers while a thread waits."""
    services = Services(load_settings({}))
    models = services.settings.catalogue.models.values()
    return max(
        spec.deadline_seconds for spec in models if not isinstance(services.provider(spec.provider), QueueProvider)
    )


def test_the_worker_may_finish_a_paid_call_when_it_is_stopped(services: dict[str, Any]) -> None:
    """Compose waits longer than the longest deadline of a call before it kills."""
    minutes, seconds = map(int, re.fullmatch(r"(\d+)m(\d+)s", services["generate"]["stop_grace_period"]).groups())  # type: ignore[union-attr]
    assert 60 * minutes + seconds > longest_call_seconds()
