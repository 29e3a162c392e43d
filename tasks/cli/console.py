"""Writing to the terminal: results to standard output, everything else to standard error.

Both are plain when they are not a terminal: no colours, no bars, no boxes, and lines are never broken.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tasks.core.errors import ImagechordError

_SHOWN_PROBLEMS = 50

output = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def print_problems(error: ImagechordError) -> None:
    """An error as a person reads it: the sentence, then each problem on a line of its own."""
    errors.print(f"[red bold]error:[/red bold] {escape(str(error))}")
    problems: tuple[str, ...] = getattr(error, "problems", ())
    list_problems(problems[:_SHOWN_PROBLEMS])
    if len(problems) > _SHOWN_PROBLEMS:
        errors.print(f"  … and {len(problems) - _SHOWN_PROBLEMS:,} more; imagechord plan lists them all")


def list_problems(problems: Iterable[object]) -> None:
    """Each problem on a line of its own."""
    for problem in problems:
        errors.print(f"  [red]•[/red] {escape(str(problem))}")


def note(text: str) -> None:
    """Something a person should know, which is no error."""
    errors.print(f"[yellow]note:[/yellow] {escape(text)}")


def print_json(data: Any) -> None:
    """One JSON value, indented, text as it is."""
    print(json.dumps(data, ensure_ascii=False, indent=2), flush=True)  # noqa: T201 – rich would wrap and colour it


def print_next(command: str, why: str = "") -> None:
    """The next sensible command, to standard error: standard output may go on into a pipe."""
    errors.print(f"[bold]Next:[/bold] {escape(command)}" + (f"   [dim]({escape(why)})[/dim]" if why else ""))


def print_facts(facts: Iterable[tuple[str, str]], *, indent: int = 2) -> None:
    """Captions and values in two columns; values wrap under themselves on a terminal."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for caption, value in facts:
        grid.add_row(" " * indent + caption, escape(value))
    _print(grid)


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """A table with a line under its header; the first column is never broken, those in ``right`` hold numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for number, name in enumerate(header):
        table.add_column(
            escape(name), justify="right" if number in right else "left", overflow="fold", no_wrap=number == 0
        )
    for row in rows:
        table.add_row(*map(escape, row))
    _print(table)


def _print(table: Table) -> None:
    """Fold to the terminal's width, 80 columns elsewhere; there without the spaces that fill lines up."""
    if output.is_terminal:
        output.print(table, soft_wrap=False)
        return
    with output.capture() as captured:
        output.print(table, soft_wrap=False)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))  # noqa: T201 – is plain already
