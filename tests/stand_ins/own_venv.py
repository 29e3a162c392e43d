"""Python programs that cannot share an environment with ours: each in one of its own, below ``.test-tools``.

It is made on first use and kept between runs.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

_TOOLS = Path(__file__).parents[2] / ".test-tools"


class NotInstalled(Exception):
    """It cannot be installed here; the text says why."""


def bin_folder(name: str, requirements: Path) -> Path:
    """Where the programs are that these requirements bring; one process installs them, the others wait.

    Raises NotInstalled.
    """
    home = _TOOLS / name
    stamp = home / "installed"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    _TOOLS.mkdir(exist_ok=True)
    with (_TOOLS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            _install(home, requirements)
            stamp.write_text(wanted)
    return home / "bin"


def _install(home: Path, requirements: Path) -> None:
    try:
        venv.create(home, clear=True, with_pip=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", str(requirements)]
        subprocess.run(pip, check=True, capture_output=True, text=True, timeout=600)
    except subprocess.CalledProcessError as error:
        told = f"{error.stdout or ''}{error.stderr or ''}"[-1500:]
        raise NotInstalled(f"{home.name} cannot be installed with {sys.executable}: {told}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{home.name} cannot be installed with {sys.executable}: {error}") from error
