"""Server processes that cannot outlive the tests: one supervisor holds them, and ends them when its stdin closes.

The operating system closes that pipe however the test process ends, ``kill -9`` included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

Commands = Mapping[str, Sequence[str]]


@contextmanager
def supervised(
    commands: Commands, folder: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[None]:
    """Run each command (name → argument list) with its output in ``folder/NAME.log``; end them all on leaving.

    ``cwd`` is the commands' working folder, by default this process's own.
    """
    supervisor = subprocess.Popen(
        [sys.executable, __file__, json.dumps({name: list(argv) for name, argv in commands.items()}), str(folder)],
        stdin=subprocess.PIPE,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        start_new_session=True,  # Ctrl-C is for the test process; the closing pipe is for the servers
    )
    try:
        yield
    finally:
        assert supervisor.stdin
        supervisor.stdin.close()
        supervisor.wait(timeout=30)


def _supervise(commands: Commands, folder: Path) -> None:
    processes = []
    try:
        for name, argv in commands.items():
            with (folder / f"{name}.log").open("wb") as log:
                processes.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        sys.stdin.read()
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()


if __name__ == "__main__":
    _supervise(json.loads(sys.argv[1]), Path(sys.argv[2]))
