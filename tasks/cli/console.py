"""Writing to the terminal: results to standard output, everything else to standard error."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from tasks.core.errors import ImagechordError

_SHOWN_PROBLEMS = 50

output = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def print_problems(error: ImagechordError) -> None:
    """An error as a person reads it: the sentence, then each problem on a line of its own."""
    errors.print(f"[red bold]error:[/red bold] {escape(str(error))}")
    problems: tuple[str, ...] = getattr(error, "problems", ())
    for problem in problems[:_SHOWN_PROBLEMS]:
        errors.print(f"  [red]•[/red] {escape(problem)}")
    if len(problems) > _SHOWN_PROBLEMS:
        errors.print(f"  … and {len(problems) - _SHOWN_PROBLEMS:,} more")
