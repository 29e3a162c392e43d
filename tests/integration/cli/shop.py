"""A shop's folder, and the real command run in it with nothing else around."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
COMMAND = Path(sys.executable).with_name("imagechord")
ARTICLE = "sku,name,color\nTSHIRT-001,Classic T-Shirt,navy blue\nMUG-014,Ceramic Mug,white\nLAMP-7,Desk Lamp,black\n"


@dataclass
class Shop:
    """``folder`` is the working folder of every command; ``environment`` all that its processes know.

    ``temporary`` is their folder for temporary files: a short path, for sockets have room for few characters.
    """

    folder: Path
    temporary: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir()
        self._mark = f"IMAGECHORD_TEST={uuid.uuid4()}"
        inherited = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        self.environment = {
            **inherited,
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "TMPDIR": str(self.temporary),
            "LANG": "C.UTF-8",
            "COLUMNS": "80",
            "PYTHONPATH": str(ROOT),
            **dict([self._mark.split("=")]),
            **self.environment,
        }

    def write(self, name: str, text: str, encoding: str = "utf-8") -> Path:
        """Put a file into the folder; lines end as they are written."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))
        return path

    def install(self, program: Path, name: str) -> None:
        """Put a program on the PATH."""
        (self.folder / "bin" / name).symlink_to(program)

    def call(self, *arguments: str, timeout_seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [str(COMMAND), *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout_seconds,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """Run a command that prints JSON and must succeed."""
        ran = self.call(*arguments, "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command as the leader of a process group, as a shell does."""
        return subprocess.Popen(
            [str(COMMAND), *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            process_group=0,
        )

    def files(self) -> set[str]:
        """Everything that is in the folder and was not put there by the test's ``bin``."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.name != "bin"}

    def running(self) -> list[str]:
        """Every process that one of our commands has left running, whatever its parent and session."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                ours = self._mark.encode() in (process / "environ").read_bytes().split(b"\0")
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
                if ours and state != "Z":
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return found


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ctrl-C: the terminal sends SIGINT to the whole process group in front."""
    os.killpg(process.pid, signal.SIGINT)
