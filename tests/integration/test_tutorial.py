"""``.github/TUTORIAL.md`` does what it says: its commands in their order, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.integration.cli.shop import COMMAND, ROOT
from tests.stand_ins.ports import free_ports

TUTORIAL = ROOT / ".github" / "TUTORIAL.md"
PORT = "8765"
"""Where the tutorial's shop listens; here, at any free port."""

MARK = "--8<-- "
WAIT = f"until (exec 3<> /dev/tcp/127.0.0.1/{PORT}) 2> /dev/null; do :; done"
"""A person takes longer to type the next command than a server takes to listen."""

BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"[^\n]*<<'EOF'\n.*?^EOF\n|[^\n]*\n", re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    """What is typed, and what it says; both end in a newline if there is anything."""

    command: str
    says: str


def steps(text: str) -> list[Step]:
    """The commands of the console blocks; one with a here-document goes on to its end."""
    found = []
    for block in BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            typed = TYPED.match(part)
            assert typed, part
            found.append(Step(typed[0], part[typed.end() :]))
    return found


def script(typed: list[Step]) -> str:
    """One shell for all of them; a mark goes before what each says, and leaves ``$?`` as it was."""
    lines = ["exec 2>&1", f"mark() {{ local was=$?; printf '\\n{MARK}\\n'; return $was; }}"]
    for step in typed:
        lines += ["mark", step.command.rstrip("\n"), *([WAIT] if step.command.endswith(" &\n") else [])]
    return "\n".join([*lines, "mark", ""])


def pattern(says: str) -> re.Pattern[str]:
    """What is shown: ``…`` is anything within a line, on a line of its own any number of lines."""
    parts = [r"(?:.*\n)*?" if line == "…\n" else _of_line(line) for line in says.splitlines(keepends=True)]
    return re.compile("".join(parts))


def _of_line(line: str) -> str:
    return ".*?".join(map(re.escape, line.split("…")))


def test_the_tutorial_says_what_its_commands_say(tmp_path: Path) -> None:
    """Init, rows with mistakes, a shop and its webhook, a failure, a retry, the manifest: each as it is shown."""
    (port,) = free_ports(1)
    typed = steps(TUTORIAL.read_text("utf-8").replace(PORT, str(port)))
    environment = {
        **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
        "PATH": f"{COMMAND.parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "COLUMNS": "80",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",  # two streams into one pipe, in the order in which a terminal has them
    }

    ran = subprocess.run(
        ["bash"],
        input=script(typed).replace(PORT, str(port)),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=110,
        check=False,
    )

    _before, *told, _after = ran.stdout.split(f"\n{MARK}\n")
    assert len(told) == len(typed), ran.stdout
    for step, said in zip(typed, told, strict=True):
        assert pattern(step.says).fullmatch(said), f"$ {step.command}{said}\n--- is not\n{step.says}"


def test_no_command_of_the_tutorial_is_left_out() -> None:
    """Each line that is shown as typed is one of the steps that are run."""
    text = TUTORIAL.read_text("utf-8")
    assert len(steps(text)) == len(re.findall(r"^\$ ", text, re.MULTILINE)) > 15
