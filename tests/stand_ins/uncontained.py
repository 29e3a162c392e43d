"""The services of docker-compose.yml as plain processes: its commands, its environment, its secrets, no containers.

What the real Docker Compose understands of the file is taken as it is. Only the places change: a service's name and
port become a free port of 127.0.0.1, a path of the container one below a folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.stand_ins.ports import free_ports

ROOT = Path(__file__).parents[2]
_COMPOSE = Path(sys.executable).with_name("docker-compose")
_INSIDE = ("/run/secrets", "/data", "/tmp", "/usr/local/etc/haproxy")
_PASSED_ON = ("LANG", "LC_ALL", "TMPDIR", "CI")


def compose(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Compose on our file for a project in this folder, with nothing but these variables and its ``.env``."""
    options = ["--file", str(ROOT / "docker-compose.yml"), "--project-directory", str(project)]
    plain = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(
        [str(_COMPOSE), *options, *arguments],
        env=plain | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def make_project(folder: Path, dotenv: str = "") -> Path:
    """A clone as somebody has it who has followed the head of docker-compose.yml, with this ``.env``."""
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "compose-secrets", folder / "scripts")
    shutil.copytree(ROOT / "scripts" / "deploy", folder / "scripts" / "deploy")
    (folder / "config").symlink_to(ROOT / "config")
    (folder / ".env").write_text(dotenv)
    subprocess.run([folder / "scripts" / "compose-secrets"], check=True, capture_output=True)
    return folder


def understood(project: Path, *options: str) -> dict[str, Any]:
    """The whole file as Compose understands it."""
    ran = compose(project, *options, "config", "--format", "json")
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


class Uncontained:
    """``folder`` takes the place of the containers' file systems; ``programs`` are further folders of PATH."""

    def __init__(self, understood: Mapping[str, Any], folder: Path, programs: Sequence[Path]) -> None:
        self.services: Mapping[str, Any] = understood["services"]
        self.folder = folder
        self._path = os.pathsep.join([*map(str, programs), os.environ["PATH"], "/usr/sbin"])
        self._secrets = understood["secrets"]
        self._furnish()

    @cached_property
    def _ports(self) -> dict[str, int]:
        inside = {"6379", "5432"} | {
            port["target"] for each in self.services.values() for port in each.get("ports", ())
        }
        names = sorted(map(str, inside | {"5555"}))
        return dict(zip(names, free_ports(len(names)), strict=True))

    @cached_property
    def _places(self) -> re.Pattern[str]:
        hosts, ports = "|".join(self.services), "|".join(self._ports)
        folders = "|".join(map(re.escape, _INSIDE))
        return re.compile(
            rf"\b(?P<host>{hosts})(?=:\d)|(?P<any>0\.0\.0\.0)|\b(?P<port>{ports})\b|(?P<folder>{folders})\b"
        )

    def here(self, text: str) -> str:
        """The text with the places of this machine."""

        def place(found: re.Match[str]) -> str:
            if found["port"]:
                return str(self._ports[found["port"]])
            return f"{self.folder}{found['folder']}" if found["folder"] else "127.0.0.1"

        return self._places.sub(place, text)

    def port(self, inside: int) -> int:
        """Where a port of the containers is here."""
        return self._ports[str(inside)]

    def secret(self, name: str) -> str:
        """What is in a secret's file."""
        return Path(self._secrets[name]["file"]).read_text()

    def command(self, service: str, *arguments: str) -> list[str]:
        """The command line of a service, with its environment and nothing else; arguments replace its command's."""
        told = self.services[service]
        argv = [*(told.get("entrypoint") or ()), *(arguments or told["command"])]
        return self._apart(service, [self.here(each.replace("$$", "$")) for each in argv])

    def check(self, service: str, timeout_seconds: int = 10, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the service's health check as its container would; ``timeout_seconds`` is that of asking a worker."""
        kind, *test = self.services[service]["healthcheck"]["test"]
        argv = ["sh", "-c", *test] if kind == "CMD-SHELL" else test
        argv = [
            self.here(each.replace("$$", "$")).replace("--timeout 10", f"--timeout {timeout_seconds}") for each in argv
        ]
        return self.run(self._apart(service, argv, **environment))

    def run(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run to the end, where containers start."""
        return subprocess.run(argv, cwd=self.folder / "data", capture_output=True, text=True, timeout=60, check=False)

    def _apart(self, service: str, argv: Sequence[str], **more: str) -> list[str]:
        environment = {
            **{name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("COVERAGE")},
            "PATH": self._path,
            "HOME": "/nonexistent",
            "HOSTNAME": socket.gethostname(),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **{name: self.here(value) for name, value in self.services[service].get("environment", {}).items()},
            **more,
        }
        return ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), *argv]

    def _furnish(self) -> None:
        """The folders, mounts and secrets that the containers find."""
        for inside in _INSIDE:
            (self.folder / inside[1:]).mkdir(parents=True)
        for name, secret in self._secrets.items():
            (self.folder / "run/secrets" / name).write_text(self.here(Path(secret["file"]).read_text()))
        mounts = {mount["target"]: mount for each in self.services.values() for mount in each.get("volumes", ())}
        for target, mount in sorted(mounts.items()):
            if mount["type"] == "bind":
                place = Path(self.here(target))
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(mount["source"])
