"""``imagechord``: the commands in groups, and errors as sentences with exit codes.

A command's module is imported when it is called, and no other: ``--help`` and ``models`` need not wait for Celery.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from inspect import getdoc
from typing import Any, NamedTuple, NoReturn

import typer

from tasks.cli.console import errors, print_problems
from tasks.core.errors import ConfigurationError, ImagechordError, InputError
from tasks.core.redaction import redacted

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


class Command(NamedTuple):
    """One command: its group in ``--help``, the module that holds the function of its name, and what it does."""

    name: str
    group: str
    module: str
    summary: str


COMMANDS = (
    Command("run", "Run", "tasks.cli.run", "Make and publish a picture for every row, and wait for it."),
    Command("plan", "Run", "tasks.cli.plan", "Say what run would do, cost and refuse; touch nothing."),
    Command("submit", "Run", "tasks.cli.submit", "Hand a batch to your workers and come back at once."),
    Command("watch", "Watch", "tasks.cli.watch", "Show a batch's progress until it rests."),
    Command("status", "Watch", "tasks.cli.status", "Say how a batch stands, or list the batches."),
    Command("show", "Watch", "tasks.cli.show", "Tell one picture's history: calls, cost, prompt, URL."),
    Command("retry", "Fix", "tasks.cli.retry", "Do again what has failed, was refused, or whose outcome is not known."),
    Command("pause", "Fix", "tasks.cli.pause", "Stop buying and delivering, until imagechord resume."),
    Command("resume", "Fix", "tasks.cli.resume", "Go on with what was paused or held."),
    Command("cancel", "Fix", "tasks.cli.cancel", "End a batch: nothing more is bought or delivered."),
    Command("publish", "Fix", "tasks.cli.publish", "Publish what --hold-publish has kept back."),
    Command("limits", "Fix", "tasks.cli.limits", "Show the limits of the models and of the CMS, or change one."),
    Command("report", "Look", "tasks.cli.report", "Write a batch's contact sheet as HTML."),
    Command("export", "Look", "tasks.cli.export", "Write a batch's manifest, or its failed rows for another run."),
    Command("cost", "Look", "tasks.cli.cost", "Compare what 100 to 100,000 pictures cost."),
    Command("models", "Look", "tasks.cli.models", "List the models: what each is for, price, limits, sizes."),
    Command("templates", "Look", "tasks.cli.templates", "List the prompt templates and the columns that feed them."),
    Command("doctor", "Set up", "tasks.cli.doctor", "Check every component and say what to set; spends nothing."),
    Command("web", "Set up", "tasks.cli.web", "Serve the webhooks that providers call, until Ctrl-C."),
    Command("migrate", "Set up", "tasks.cli.migrate", "Bring the ledger's database to this version."),
)

_EPILOG = (
    "Exit codes: 0 all published; 1 finished with failures; 2 bad input or configuration, nothing was started; "
    "3 something waits for you; 130 interrupted. --debug anywhere shows the traceback of an error."
)


def build(wanted: str | None = None) -> typer.Typer:
    """The application with the ``wanted`` command ready to be called; ``None`` loads them all."""
    app = typer.Typer(
        help="Rows in, published pictures out. BATCH is an id, its beginning, or a name; without it, the latest.",
        epilog=_EPILOG,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for command in COMMANDS:
        function = _load(command) if wanted in {None, command.name} else _not_loaded
        app.command(
            command.name, rich_help_panel=command.group, short_help=command.summary, help=_paragraphs(function)
        )(function)
    return app


def _paragraphs(function: Callable[..., Any]) -> str:
    """The docstring with each paragraph on one line: the terminal decides where lines end."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (getdoc(function) or "").split("\n\n"))


def _load(command: Command) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(import_module(command.module), command.name)
    return function


def _not_loaded() -> NoReturn:
    """Stands in for a command that was not asked for: ``--help`` shows its summary."""
    raise AssertionError


def main() -> None:
    """The console script. ``--debug`` anywhere shows the traceback of what goes wrong."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        build(_wanted(sys.argv[1:]))()
    except Exception as error:
        if debug:
            raise
        sys.exit(_say(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _wanted(arguments: list[str]) -> str | None:
    """The command that is called; empty for none. Shell completion asks for the options of all of them."""
    if "_IMAGECHORD_COMPLETE" in os.environ:
        return None
    return next((argument for argument in arguments if not argument.startswith("-")), "")


def _interrupt(_number: int, _frame: object) -> NoReturn:
    """Being told to stop is as good as Ctrl-C: what was started is stopped in order."""
    raise KeyboardInterrupt


def _say(error: Exception) -> int:
    """Print an error for people; returns the exit code."""
    if isinstance(error, ImagechordError):
        print_problems(error)
        return BAD_INPUT if isinstance(error, (InputError, ConfigurationError)) else FAILED
    mend = "" if isinstance(error, OSError) else " This is imagechord's own mistake, or a service's that it talks to."
    words = " ".join(redacted(str(error)).split("\n")[0].split())
    errors.print(f"error: {type(error).__name__}: {words}.{mend}", style="red", markup=False)
    errors.print("--debug shows where it happened.", markup=False)
    return FAILED
