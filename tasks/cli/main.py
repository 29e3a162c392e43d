"""``imagechord``: the commands in groups, and errors as sentences with exit codes.

A command's module is imported when it is called or completed, and no other: ``--help``, ``models`` and the Tab key need
not wait for Celery.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import typer

from tasks.cli.failing import Interrupted, tell
from tasks.cli.manual import ManualCommand, ManualGroup, page


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
    Command("rollback", "Fix", "tasks.cli.rollback", "Put back what the CMS showed before a batch."),
    Command("limits", "Fix", "tasks.cli.limits", "Show the limits of the models and of the CMS, or change one."),
    Command("report", "Look", "tasks.cli.report", "Write a batch's contact sheet as HTML."),
    Command("export", "Look", "tasks.cli.export", "Write a batch's manifest, or its failed rows for another run."),
    Command("cost", "Look", "tasks.cli.cost", "Compare what 100 to 100,000 pictures cost."),
    Command("models", "Look", "tasks.cli.models", "List the models: what each is for, price, limits, sizes."),
    Command("templates", "Look", "tasks.cli.templates", "List the prompt templates and the columns that feed them."),
    Command("init", "Set up", "tasks.cli.init", "Write a folder to begin in: settings, prompts, a sample."),
    Command("doctor", "Set up", "tasks.cli.doctor", "Check every component and say what to set; spends nothing."),
    Command("web", "Set up", "tasks.cli.web", "Serve the batch pages, the API and webhooks, until Ctrl-C."),
    Command("migrate", "Set up", "tasks.cli.migrate", "Bring the ledger's database to this version."),
)

_EPILOG = """\
Exit codes: 0 all published; 1 finished with failures; 2 bad input or configuration, nothing was started; 3 something \
waits for you; 130 interrupted.

'imagechord help COMMAND' is a command's manual page. --json prints one JSON document, also of an error; --debug, \
wherever it stands, shows an error's traceback."""


def build(wanted: str | None = None) -> typer.Typer:
    """The application with the ``wanted`` command ready to be called; ``None`` loads them all."""
    app = typer.Typer(
        cls=ManualGroup,
        help="Rows in, published pictures out. BATCH is an id, its beginning, or a name; without it, the latest.",
        epilog=_EPILOG,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for command in COMMANDS:
        function = load(command) if wanted in {None, command.name} else _not_loaded
        app.command(
            command.name,
            cls=ManualCommand,
            rich_help_panel=command.group,
            short_help=command.summary,
            help=page(function).prose,
        )(_interruptible(function))
    return app


def _interruptible(function: Callable[..., Any]) -> Callable[..., Any]:
    """Ctrl-C leaves a command as an error of ours; typer would end with 130 and no word."""

    @wraps(function)
    def called(**values: Any) -> None:
        try:
            function(**values)
        except KeyboardInterrupt:
            raise Interrupted from None

    return called


def load(command: Command) -> Callable[..., Any]:
    """The function that a command calls."""
    function: Callable[..., Any] = getattr(import_module(command.module), command.name)
    return function


def _not_loaded() -> NoReturn:
    """Stands in for a command that was not asked for: ``--help`` shows its summary."""
    raise AssertionError


def main() -> None:
    """The console script. ``--debug`` anywhere shows the traceback of what goes wrong."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(_call(arguments, json="--json" in arguments, debug="--debug" in sys.argv))


def _call(arguments: list[str], *, json: bool, debug: bool) -> int:
    """Do what is asked; returns the exit code. A slip in the options themselves is told by typer, unless as JSON."""
    try:
        return int(build(_wanted(arguments))(args=arguments, standalone_mode=not json) or 0)
    except Exception as error:
        if debug:
            raise
        return tell(error, json=json)
    except KeyboardInterrupt:
        return tell(Interrupted(), json=json)


def _wanted(arguments: list[str]) -> str:
    """The command that is called, or whose line is being completed; empty for none."""
    # bash's and the other shells' way to say what stands on the line; the first word is the program.
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS")
    if "_IMAGECHORD_COMPLETE" in os.environ and line:
        arguments = line.split()[1:]
    return next((argument for argument in arguments if not argument.startswith("-")), "")


def _interrupt(_number: int, _frame: object) -> NoReturn:
    """Being told to stop is as good as Ctrl-C: what was started is stopped in order."""
    raise KeyboardInterrupt
