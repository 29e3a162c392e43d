"""``imagechord export``: the manifest of a batch, or its failed rows for another run."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import IO, Annotated, TypeAlias

import typer

from tasks.cli import options
from tasks.cli.console import errors, print_json, print_next
from tasks.cli.finishing import open_ledger
from tasks.core.errors import InputError
from tasks.core.views import ImageView, SkippedRow
from tasks.ledger import reading
from tasks.ledger.reading import BatchRow
from tasks.report import manifest
from tasks.services import current_services

Images: TypeAlias = Iterable[ImageView]
Skipped: TypeAlias = Iterable[SkippedRow]


class Format(StrEnum):
    """How the manifest is written."""

    CSV = "csv"
    JSONL = "jsonl"


def export(  # noqa: PLR0913, PLR0917 – one parameter per option
    batch: options.Batch = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only rows that were not published, in their original columns.")
    ] = False,
    excel: Annotated[
        bool, typer.Option("--excel", help="CSV that Excel opens right: Korean whole, no formulas.")
    ] = False,
    format_: Annotated[
        Format | None,
        typer.Option("--format", metavar="csv|jsonl", help="Default: csv, or jsonl for an --output of that ending."),
    ] = None,
    target: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default: standard output.")
    ] = None,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Without --output, the same as --format jsonl; with it, one document of what was written."
        ),
    ] = False,
) -> None:
    """Write a batch's manifest, or its failed rows for another run.

    The manifest has one line for each picture and each skipped row.

    With --failed, the rows that failed, were refused or were skipped, as they came and with the reason behind them:
    mend them and run the file again. Rows that still wait are not in it, for they may have been paid.

    Examples:
        imagechord export --output manifest.csv
            The latest batch: every picture with its URL.
        imagechord export --failed --excel --output failed.csv
            Rows to mend in Excel and run again.
        imagechord export spring --json
            The manifest on standard output, a JSON document a line.

    Exit codes:
        0  It was written.
        1, 2

    Environment:
        IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
    """
    services = current_services()
    ledger = open_ledger(services)
    found = reading.find_batch(ledger, batch)
    kind = _kind(format_ or (Format.JSONL if json and target is None else None), target, excel=excel)
    write = _writer(found, kind, failed=failed, excel=excel)
    with _opened(target) as stream:
        write(stream, reading.images(ledger, found.id), reading.skipped_rows(ledger, found.id))
    if target is not None and json:
        print_json({"batch": found.id, "path": str(target), "format": str(kind), "failed": failed})
    elif target is not None:
        errors.print(str(target), markup=False)
        print_next(*_next(found, target, failed=failed))


def _kind(asked: Format | None, target: Path | None, *, excel: bool) -> Format:
    """The format, with what contradicts it refused. Raises InputError."""
    ending = target.suffix.lower() if target else ""
    kind = asked or (Format.JSONL if ending in {".jsonl", ".ndjson"} else Format.CSV)
    if excel and kind is not Format.CSV:
        raise InputError(f"--excel writes CSV; leave --json, --format {kind} or the ending {ending!r} out")
    return kind


@contextmanager
def _opened(target: Path | None) -> Iterator[IO[str]]:
    """The file, or standard output, in UTF-8 and with the line ends as they are written. Raises InputError."""
    if target is None:
        stream = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="", write_through=True)
        try:
            yield stream
        finally:
            stream.detach()
        return
    try:
        file = target.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"--output {target} cannot be written: {error.strerror}") from error
    with file:
        yield file


def _writer(batch: BatchRow, kind: Format, *, failed: bool, excel: bool) -> Callable[[IO[str], Images, Skipped], None]:
    if kind is Format.JSONL:
        return manifest.write_failed_jsonl if failed else manifest.write_jsonl
    if failed:
        return partial(manifest.write_failed_csv, columns=batch.columns, excel=excel)
    return partial(manifest.write_csv, excel=excel)


def _next(batch: BatchRow, target: Path, *, failed: bool) -> tuple[str, str]:
    if failed:
        return f"imagechord run {target} --template {batch.template}", "when its rows are mended"
    return f"imagechord report {batch.id}", "the same as a contact sheet"
