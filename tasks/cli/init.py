"""``imagechord init``: a folder to begin in."""

from __future__ import annotations

import os
import secrets
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from tasks.cli import options
from tasks.cli.console import output, print_json, print_next
from tasks.cli.variables import GROUPS, Variable
from tasks.core.errors import InputError
from tasks.settings import shipped_config

_OWNER_ONLY, _EVERYBODY = 0o600, 0o666
_IGNORED = (".env", ".imagechord/", "output/")
"""What git is not to keep: secrets, state, and pictures."""

Directory = Annotated[Path, typer.Argument(metavar="DIRECTORY", help="The folder; made if it is not there.")]
Force = Annotated[
    list[str] | None,
    typer.Option("--force", metavar="FILE", help="Write this one anew, whatever is in it; may be repeated."),
]


def init(directory: Directory = Path(), force: Force = None, json: options.Json = False) -> None:
    """Write a folder to begin in: settings, prompts, a sample.

    A .env with every variable, explained and commented out, which nobody else can read; a secret for webhooks and a
    token for the pages are made up and put in. A config/ whose examples change nothing until their # is taken away. A
    products.csv of three rows. And lines in .gitignore, so that no secret gets into a repository.

    What is there already is left alone and named, so it may be run again after an update. It asks nothing, and calls
    nobody.

    Examples:
        imagechord init
            In this folder.
        imagechord init shop
            In a folder called shop.
        imagechord init --force .env
            A new .env with new secrets; everything else is left alone.

    Exit codes:
        0  Everything is there now.
        1, 2
    """
    files = {".env": _environment(), **_shipped()}
    if unknown := sorted(set(force or ()) - set(files)):
        raise InputError(f"--force {unknown[0]}: init does not write that; it writes {', '.join(files)}")
    try:
        written = [name for name, text in files.items() if _write(directory / name, text, anew=name in (force or ()))]
        written += [".gitignore"] if _ignore(directory / ".gitignore") else []
    except OSError as error:
        raise InputError(f"{error.filename} cannot be written: {error.strerror}; name another folder") from error
    left = [name for name in (*files, ".gitignore") if name not in written]
    _say(directory, written, left, json=json)


def _environment() -> str:
    """The text of ``.env``: every variable with what it is for; what can be made up is set."""
    made = {
        "WEBHOOK_SECRET": "whsec_" + b64encode(secrets.token_bytes(32)).decode(),
        "IMAGECHORD_WEB_TOKEN": secrets.token_urlsafe(32),
    }
    return "\n".join(_env_lines(made)) + "\n"


def _env_lines(made: Mapping[str, str]) -> Iterator[str]:
    yield "# imagechord reads this in the folder that it is started in: command, worker, beat and web alike. What the"
    yield "# environment sets wins. Take the # away from a line to set it. Keep the file to yourself."
    for group in GROUPS:
        yield from ("", f"# --- {group.title}", "")
        for variable in group.variables:
            yield f"# {variable.words}"
            yield _assignment(variable, made)


def _assignment(variable: Variable, made: Mapping[str, str]) -> str:
    if variable.name in made:
        return f"{variable.name}={made[variable.name]}"
    return f"#{variable.name}={variable.example}"


def _shipped() -> dict[str, str]:
    """What comes as it is, by its name in the folder."""
    sample = shipped_config() / "samples" / "shop"
    files = sorted(path for path in sample.rglob("*") if path.is_file())
    return {path.relative_to(sample).as_posix(): path.read_text("utf-8") for path in files}


def _write(path: Path, text: str, *, anew: bool) -> bool:
    """Write a file that is not there, or ``anew``; whether it was. Raises OSError."""
    if path.exists() and not anew:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    if anew:
        path.unlink(missing_ok=True)  # its permissions go with it
    mode = _OWNER_ONLY if path.name == ".env" else _EVERYBODY
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:  # noqa: PTH123 – a mode from the first moment
        file.write(text)
    return True


def _ignore(path: Path) -> bool:
    """Add the lines that are missing; whether there were any. Raises OSError."""
    text = path.read_text("utf-8") if path.exists() else ""
    missing = [line for line in _IGNORED if line not in text.splitlines()]
    if missing:
        begun = "" if not text or text.endswith("\n") else "\n"
        with path.open("a", encoding="utf-8") as file:
            file.write(begun + "\n".join(missing) + "\n")
    return bool(missing)


def _say(directory: Path, written: list[str], left: list[str], *, json: bool) -> None:
    if json:
        print_json({"directory": str(directory.absolute()), "written": written, "left_alone": left})
        return
    for what, names in (("wrote", written), ("left alone", left)):
        for name in names:
            output.print(f"{what:<10}  {directory / name}", markup=False)
    there = "" if directory.absolute() == Path.cwd() else f"cd {directory}; "
    print_next(
        f"{there}imagechord run products.csv --template product_hero --model preview", "three rows, offline and free"
    )
