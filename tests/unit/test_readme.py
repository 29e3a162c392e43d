"""What README.md says can be done: its commands exist, its Python runs as far as it can, its CSV is good."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from tasks.core.preferences import Preferences
from tasks.settings import VARIABLES, load_settings
from tests import models_table

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def command_lines(program: str) -> list[list[str]]:
    """Each call of a program in the shell blocks, split as a shell would; comments are left out."""
    lines = "".join(blocks("sh") + blocks("console")).splitlines()
    calls = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines if program in line]
    return [call for call in calls if call and call[0] == program]


IMAGECHORD = command_lines("imagechord")


def imagechord(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, without a developer's settings."""
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "200", "TERM": "dumb", "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-c", "from tasks.cli.main import main; main()"]
    command = [*program, *arguments]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


@cache
def help_of(command: str) -> str:
    """What ``imagechord COMMAND --help`` prints."""
    ran = imagechord(command, "--help", folder=ROOT)
    assert ran.returncode == 0, f"there is no 'imagechord {command}'"
    return ran.stdout


@pytest.mark.parametrize("call", IMAGECHORD, ids=" ".join)
def test_every_command_and_its_options_exist(call: list[str]) -> None:
    """A command line of the README is one that the program takes."""
    text = help_of(call[1])
    assert [word for word in call[2:] if word.startswith("--") and word not in text] == []


def test_the_readme_names_enough_commands() -> None:
    """The pattern above still finds them."""
    assert len({call[1] for call in IMAGECHORD}) >= 10


def test_every_script_exists_and_can_be_run() -> None:
    """Each ./scripts/… is there and executable."""
    named = set(re.findall(r"\./(scripts/\w[\w-]*)", README))
    assert {name for name in named if not os.access(ROOT / name, os.X_OK)} == set()


@pytest.mark.parametrize("code", blocks("python"), ids=range(len(blocks("python"))))
def test_python_blocks_compile_and_their_imports_are_real(code: str) -> None:
    """Every name that is imported, from us or another library, is there; ``shop`` is the reader's own."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("shop."):
            assert [alias.name for alias in node.names if not is_in(node.module, alias.name)] == []


def is_in(module: str, name: str) -> bool:
    """Whether a module has a name, or a module of that name below it."""
    return hasattr(importlib.import_module(module), name) or find_spec(f"{module}.{name}") is not None


def test_the_csv_example_is_good_for_the_commands_beside_it(tmp_path: Path) -> None:
    """The README's own `plan` finds no problem in its rows."""
    (tmp_path / "products.csv").write_text(blocks("csv")[0], "utf-8")
    command = next(call for call in IMAGECHORD if call[1] == "plan")

    ran = imagechord(*command[1:], folder=tmp_path)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 pictures" in ran.stdout
    assert load_settings({}, tmp_path).catalogue.default_model in README


def test_the_table_of_settings_has_every_variable_and_no_other() -> None:
    """What the program reads is what the README lists."""
    table = README[README.index("| variable |") : README.index("\nModels with their")]
    assert set(re.findall(r"`([A-Z][A-Z0-9_]+)`", table)) == set(VARIABLES)


def test_the_table_of_models_is_the_catalogues() -> None:
    """Model, provider, abilities, price and limits; after a change run ./scripts/models-table."""
    assert models_table.shown(README) == models_table.table(models_table.shipped())


def test_links_into_the_repository_lead_somewhere() -> None:
    """No file that the README points to is missing."""
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in target]
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_settings_and_figures_in_the_text_are_the_defaults() -> None:
    """The pattern of keys, the takeover delay and the threads are those of the program."""
    defaults = Preferences()
    assert f"`{defaults.key_pattern}`" in README
    assert f"is {defaults.heartbeat_expires_seconds:.0f} s" in README
    assert f"{defaults.worker_concurrency} threads" in README
