"""``imagechord``: the commands in groups, and errors as sentences with exit codes."""

from __future__ import annotations

import sys

import typer

from tasks.cli import run, watch
from tasks.cli.console import errors, print_problems
from tasks.core.errors import ConfigurationError, ImagechordError, InputError

app = typer.Typer(
    help="Rows in, published pictures out. BATCH defaults to the latest; the beginning of an id is enough.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(rich_help_panel="Run")(run.run)
app.command(rich_help_panel="Watch")(watch.watch)

BAD_INPUT = 2
INTERRUPTED = 130


def main() -> None:
    """The console script. ``--debug`` anywhere shows the traceback of what goes wrong."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        app()
    except (InputError, ConfigurationError) as error:
        if debug:
            raise
        print_problems(error)
        sys.exit(BAD_INPUT)
    except ImagechordError as error:
        if debug:
            raise
        errors.print(f"[red]error:[/red] {error}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
