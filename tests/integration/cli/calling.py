"""Calls several command lines in one process, for those that take longer to start than to run.

Reads a JSON list of argument lists from standard input; prints a JSON list of ``{"code", "stdout", "stderr"}``.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

from tasks.cli.main import main


def call(arguments: list[str]) -> dict[str, object]:
    """What the command prints, and how it ends."""
    sys.argv = ["imagechord", *arguments]
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code: object = None
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return {"code": code, "stdout": _text(stdout), "stderr": _text(stderr)}


def _text(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


if __name__ == "__main__":
    print(json.dumps([call(arguments) for arguments in json.load(sys.stdin)]))
