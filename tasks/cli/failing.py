"""What went wrong, said to people or to programs, and the exit code that goes with it."""

from __future__ import annotations

from tasks.cli.console import errors, print_json, print_problems
from tasks.core.errors import ConfigurationError, ImagechordError, InputError
from tasks.core.redaction import redacted

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


class Interrupted(ImagechordError):
    """Somebody has stopped the command before there was a batch to tell of."""

    def __init__(self) -> None:
        super().__init__("interrupted; what was begun is kept, and the same command goes on with it")


def tell(error: Exception, *, json: bool) -> int:
    """Print an error: a sentence on standard error, or a JSON document on standard output; returns the exit code.

    The document is ``{"error": {"class", "message", "problems"}, "exit_code"}``; ``class`` is InputError, UsageError,
    ConfigurationError or another class's name, ``problems`` has a line for each thing that is wrong.
    """
    code = _exit_code(error)
    if json:
        print_json({"error": _as_data(error), "exit_code": code})
    elif isinstance(error, ImagechordError):
        print_problems(error)
    else:
        errors.print(f"error: {type(error).__name__}: {_words(error)}.{_whose(error)}", style="red", markup=False)
        errors.print("--debug shows where it happened.", markup=False)
    return code


def _exit_code(error: Exception) -> int:
    if isinstance(error, Interrupted):
        return INTERRUPTED
    return BAD_INPUT if isinstance(error, (InputError, ConfigurationError)) or _is_usage(error) else FAILED


def _is_usage(error: Exception) -> bool:
    """Whether typer refuses the options themselves; which base class its errors have depends on its version."""
    return hasattr(error, "format_message")


def _as_data(error: Exception) -> dict[str, object]:
    if isinstance(error, ImagechordError):
        problems: tuple[str, ...] = getattr(error, "problems", ())
        return {"class": type(error).__name__, "message": str(error), "problems": list(problems)}
    if _is_usage(error):
        return {"class": "UsageError", "message": error.format_message(), "problems": []}  # type: ignore[attr-defined]
    return {"class": type(error).__name__, "message": _words(error), "problems": []}


def _words(error: Exception) -> str:
    return " ".join(redacted(str(error)).split("\n")[0].split())


def _whose(error: Exception) -> str:
    return "" if isinstance(error, OSError) else " This is imagechord's own mistake, or a service's that it talks to."
