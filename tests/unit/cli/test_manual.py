"""The manual page of each command: complete, readable in 80 columns, and true as far as a parser can tell."""

from __future__ import annotations

import shlex
from functools import cache
from typing import Any

import pytest
import typer
from rich.cells import cell_len
from typer.testing import CliRunner

from tasks.cli.main import COMMANDS, build, load
from tasks.cli.manual import EXIT_CODES, Page, page
from tasks.cli.variables import WORDS

NAMES = [command.name for command in COMMANDS]
OF = {command.name: command for command in COMMANDS}


@cache
def commands() -> Any:
    """The whole command line, parsed by typer and never called."""
    return typer.main.get_command(build())


def page_of(name: str) -> Page:
    """What the docstring of a command says."""
    return page(load(OF[name]))


@pytest.mark.parametrize("name", [*NAMES, None])
def test_help_fits_80_columns_and_loses_nothing(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is longer, and none was cut to make it fit."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    shown = CliRunner().invoke(build(), [name, "--help"] if name else ["--help"])
    assert shown.exit_code == 0, shown.output
    assert [line for line in shown.output.splitlines() if cell_len(line) > 80] == []
    if name:
        assert OF[name].summary in " ".join(shown.output.split())
        assert [entry.name for entry in page_of(name).sections["Examples"] if entry.name not in shown.output] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_everything_that_a_manual_page_has(name: str) -> None:
    """A summary that --help of the group shows, more than that in the text, examples, exit codes, variables."""
    found = page_of(name)
    summary, *more = found.prose.split("\n\n")
    assert summary.endswith(".")
    assert more, "one sentence is no manual page"
    assert OF[name].summary == summary
    assert all(example.words for example in found.sections["Examples"])
    codes = [entry.name for entry in found.sections["Exit codes"]]
    assert set(codes) <= set(EXIT_CODES)
    assert codes == sorted(set(codes), key=int)
    assert {entry.name for entry in found.sections.get("Environment", ())} <= set(WORDS)


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_and_option_is_explained(name: str) -> None:
    """With words, and with a name for the value where there is one."""
    for param in commands().commands[name].params:
        assert param.help, f"{name} {param.name}"
        assert param.metavar is not None or param.is_flag, f"{name} {param.name}: say what the value is, and its unit"


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_command_lines_that_the_program_takes(name: str) -> None:
    """Each option exists and has a value that is allowed."""
    for example in page_of(name).sections["Examples"]:
        program, called, *arguments = shlex.split(example.name)
        assert (program, called) == ("imagechord", name)
        commands().commands[name].make_context(name, arguments)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_prints_json_when_asked(name: str) -> None:
    """No exception: what prints for people prints for programs."""
    assert "--json" in {option for param in commands().commands[name].params for option in param.opts}


def test_words_of_a_section_may_stand_beside_below_or_elsewhere() -> None:
    """What is said of an exit code or a variable everywhere need not be said again."""

    def command() -> None:
        """Do it.

        It takes
        a while.

        Examples:
            imagechord do --it
                As one
                would.

        Exit codes:
            0  Done.
            1, 2
        """

    found = page(command)
    assert found.prose == "Do it.\n\nIt takes a while."
    assert found.sections == {
        "Examples": (("imagechord do --it", "As one would."),),
        "Exit codes": (("0", "Done."), ("1", ""), ("2", "")),
    }
