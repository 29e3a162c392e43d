"""The real AnyCap program, taken once from its npm package into ``.test-tools/``."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

VERSION = "0.6.2"
_TOOLS = Path(__file__).parent.parent / ".test-tools"


def real_anycap() -> Path:
    """Path of the program. Where it cannot be had: skip the test on a laptop, fail it when CI is true."""
    program = _TOOLS / f"anycap-{VERSION}"
    if program.exists():
        return program
    try:
        _fetch(program)
    except (OSError, subprocess.SubprocessError, KeyError) as error:
        message = f"the real anycap {VERSION} is not here: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return program


def _fetch(program: Path) -> None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise OSError("it is tested on Linux x86-64 only")
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("npm is not installed")
    _TOOLS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_TOOLS) as folder:
        package = f"@anycap/cli-linux-x64@{VERSION}"
        subprocess.run(
            [npm, "pack", package, "--pack-destination", folder, "--silent"],
            check=True,
            timeout=100,
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            archive.extract("package/bin/anycap", folder, filter="data")
        fetched = Path(folder, "package/bin/anycap")
        fetched.chmod(0o755)
        fetched.rename(program)  # whole or not at all, whoever else is fetching it
