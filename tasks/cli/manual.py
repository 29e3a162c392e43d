"""The manual page of a command: typer's help, and after it up to three sections that end the command's docstring.

They are called "Examples", "Exit codes" and "Environment". An entry stands on a line of its own, the words about it
behind two spaces or indented below. What is said of an exit code or a variable everywhere is said here and in
:mod:`tasks.cli.variables`: without words of their own, several of them may share a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import getdoc
from typing import Any, NamedTuple

from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from tasks.cli.console import output

EXIT_CODES: Mapping[str, str] = {
    "0": "Every picture is published.",
    "1": "Something failed: pictures, a service, or imagechord itself.",
    "2": "Bad input or configuration; nothing was started.",
    "3": "Something waits for you: held, paused, or kept back by --hold-publish.",
    "130": "Interrupted; what was begun is kept, and the message says how it goes on.",
}
"""What an exit code means where a command says nothing else."""

SECTIONS = ("Examples", "Exit codes", "Environment")
_HEADING = re.compile(rf"^({'|'.join(SECTIONS)}):$", re.MULTILINE)
_SEVERAL = re.compile(r"\w+(, \w+)*")


class Entry(NamedTuple):
    """A line of a section: an example, an exit code or a variable, and what is said of it."""

    name: str
    words: str


class Page(NamedTuple):
    """``prose`` has a paragraph a line, ``sections`` an entry for each of :data:`SECTIONS` that the docstring has."""

    prose: str
    sections: Mapping[str, tuple[Entry, ...]]


def page(function: Callable[..., Any]) -> Page:
    """What a command's docstring says."""
    prose, *rest = _HEADING.split(getdoc(function) or "")
    found = dict(zip(rest[::2], rest[1::2], strict=True))
    return Page(_paragraphs(prose), {name: tuple(_entries(text)) for name, text in found.items()})


def _paragraphs(text: str) -> str:
    """Each paragraph on one line: the terminal decides where lines end."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))


def _entries(text: str) -> Iterator[Entry]:
    for block in re.split(r"\n {4}(?=\S)", text.rstrip()):
        head, *below = block.strip("\n").split("\n")
        names, _gap, words = head.partition("  ")
        said = " ".join((words, *below)).split()
        if not names:
            continue
        for name in names.split(", ") if not said and _SEVERAL.fullmatch(names) else [names]:
            yield Entry(name, " ".join(said))


class ManualCommand(TyperCommand):
    """A command whose help goes on with the sections of its docstring."""

    def get_params(self, ctx: Any) -> Any:
        """A flag takes no value, so none is named."""
        return _plain(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the page."""
        super().format_help(ctx, formatter)
        if self.callback is not None:
            print_sections(page(self.callback))


class ManualGroup(TyperGroup):
    """The list of commands, its flags without values as well."""

    def get_params(self, ctx: Any) -> Any:
        """A flag takes no value, so none is named."""
        return _plain(super().get_params(ctx))


def _plain(params: Iterable[Any]) -> list[Any]:
    found = list(params)
    for param in found:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return found


def print_sections(found: Page) -> None:
    """The sections that a page has, in their order."""
    for name in SECTIONS:
        if entries := found.sections.get(name):
            output.print(Text(f" {name}", style="bold"))
            output.print(Padding(_SHOWN[name](entries), (0, 1, 1, 3), expand=False), soft_wrap=False)


def _examples(entries: Iterable[Entry]) -> Table:
    grid = Table.grid()
    for command, words in entries:
        grid.add_row(Text(command, style="cyan", no_wrap=True))
        grid.add_row(Padding(Text(words, style="dim"), (0, 0, 0, 4), expand=False))
    return grid


def _codes(entries: Iterable[Entry]) -> Table:
    return _two_columns((code, words or EXIT_CODES[code]) for code, words in entries)


def _environment(entries: Iterable[Entry]) -> Table:
    from tasks.cli.variables import WORDS  # only help needs them

    return _two_columns((name, words or WORDS[name]) for name, words in entries)


def _two_columns(rows: Iterable[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="cyan")
    grid.add_column(overflow="fold")
    for name, words in rows:
        grid.add_row(name, Text(words))
    return grid


_SHOWN: Mapping[str, Callable[[Iterable[Entry]], Table]] = {
    "Examples": _examples,
    "Exit codes": _codes,
    "Environment": _environment,
}
