"""The systemd units, read by systemd, and the Kubernetes manifests, checked against Kubernetes' own schemas."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import redis
import yaml

from tasks.core.routing import DELIVER_QUEUE, PATCH_CMS, generate_task
from tasks.settings import SECRETS, VARIABLES, load_settings
from tests.integration.programs import ROOT, private_stack
from tests.integration.test_compose import longest_call_seconds
from tests.stand_ins.missing import missing_service

DEPLOY = ROOT / "scripts" / "deploy"
UNITS = sorted(file.name for file in (DEPLOY / "systemd").glob("*.service"))
KUBERNETES = ("1.30", "1.37")


def manifests(name: str) -> list[dict[str, Any]]:
    """The documents of a file."""
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()))


def pods() -> dict[str, dict[str, Any]]:
    """The pod of each workload, by its component."""
    found = [each for each in manifests("imagechord.yaml") if "template" in each.get("spec", {})]
    labels = "app.kubernetes.io/component"
    return {each["spec"]["template"]["metadata"]["labels"][labels]: each["spec"]["template"]["spec"] for each in found}


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units as they are installed, for an installation that is here."""
    folder = tmp_path_factory.mktemp("units")
    shutil.copytree(DEPLOY / "systemd", folder, dirs_exist_ok=True)
    for file in folder.glob("*.service"):
        here = file.read_text().replace("/opt/imagechord/.venv/bin/", f"{Path(sys.executable).parent}/")
        file.write_text(here.replace("-worker@%i", "-worker@1"))
    return folder


def systemd(units: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze with these units beside its own."""
    analyze = shutil.which("systemd-analyze") or missing_service("systemd-analyze is not installed")
    environment = {"SYSTEMD_UNIT_PATH": f"{units}:"}
    return subprocess.run([analyze, *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_the_unit(units: Path, name: str) -> None:
    """Every line of it and of what all units share, and its program is there."""
    ran = systemd(units, "verify", "--man=no", str(units / name))
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_is_locked_down(units: Path, name: str) -> None:
    """By systemd's own measure of exposure, from 0 to 10; a unit without any protection has 9.6."""
    ran = systemd(units, "security", "--offline=true", "--threshold=15", name)
    assert ran.returncode == 0, ran.stdout[-500:]


def test_systemd_waits_until_paid_calls_are_finished() -> None:
    """The worker alone is told to end, and is given longer than the longest call."""
    worker = (DEPLOY / "systemd" / "imagechord-worker@.service").read_text()
    minutes = int(re.findall(r"^TimeoutStopSec=(\d+)min$", worker, re.MULTILINE)[0])
    assert 60 * minutes > longest_call_seconds()
    assert "KillMode=mixed" in worker


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_knows_every_field(version: str) -> None:
    """A misspelt one would be an error, not a silence."""
    for manifest in manifests("imagechord.yaml"):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_pods_run_what_compose_runs() -> None:
    """The same commands, locked down alike, with the same time to end."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    found = pods()
    assert set(found) == {"migrate", "generate", "deliver", "control", "beat", "web"}
    for component, pod in found.items():
        (container,) = pod["containers"]
        assert container["args"] == compose[component]["command"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        lock = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert container["securityContext"] == lock
        assert container["resources"]["limits"]["memory"]
        assert not container["image"].endswith(":latest")
    assert found["generate"]["terminationGracePeriodSeconds"] > longest_call_seconds()
    for component in ("deliver", "control"):
        grace = f"{found[component]['terminationGracePeriodSeconds'] // 60}m"
        assert compose[component]["stop_grace_period"] == grace


def test_pods_are_told_secrets_as_files() -> None:
    """Variables of the ConfigMap are ones that are read, and none of them is a secret's value."""
    (told,) = (each["data"] for each in manifests("imagechord.yaml") if each["kind"] == "ConfigMap")
    for name, value in told.items():
        assert name not in SECRETS - {"IMAGECHORD_REDIS_URL"}
        assert name.removesuffix("_FILE") in VARIABLES
        assert not name.endswith("_FILE") or value.startswith("/run/secrets/imagechord/")


def test_keda_looks_at_the_lists_in_which_messages_wait(tmp_path: Path) -> None:
    """A message of ours lies under the very key that KEDA measures, of a model that there is."""
    lists = {
        trigger["metadata"]["listName"]: each["spec"]["scaleTargetRef"]["name"]
        for each in manifests("keda.yaml")
        for trigger in each["spec"]["triggers"]
    }
    models = [name.removeprefix("imagechord.").partition("\x06")[0] for name in lists if name != DELIVER_QUEUE]
    assert set(models) < set(load_settings({}).catalogue.models)
    code = "import sys; from tasks.celery import app; app.finalize(); [app.send_task(name) for name in sys.argv[1:]]"
    with private_stack(tmp_path) as stack:
        names = [*map(generate_task, models), PATCH_CMS]
        subprocess.run([sys.executable, "-c", code, *names], env=dict(stack.environment), cwd=ROOT, check=True)
        with redis.Redis.from_url(stack.environment["IMAGECHORD_REDIS_URL"]) as broker:
            assert [broker.llen(name) for name in lists] == [1] * len(lists)
    deployments = {each["metadata"]["name"] for each in manifests("imagechord.yaml") if each["kind"] == "Deployment"}
    assert set(lists.values()) <= deployments
