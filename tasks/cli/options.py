"""The options that several commands share, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tasks.core.errors import InputError

Source = Annotated[
    Path | None, typer.Argument(metavar="CSV", help="CSV, TSV, JSONL or xlsx file with one row per product.")
]
Template = Annotated[str | None, typer.Option("--template", "-t", help="Prompt template; see 'imagechord templates'.")]
Model = Annotated[str | None, typer.Option("--model", "-m", help="Model of the catalogue; see 'imagechord models'.")]
Use = Annotated[str | None, typer.Option("--use", help="Pick the model by use: hero, bulk, edit or prototype.")]
Map = Annotated[
    list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="Feed a template field from a column.")
]
Key = Annotated[
    str | None, typer.Option("--key", metavar="COLUMN", help="Column that names the pictures (default: sku).")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Take the first N rows.")]
Encoding = Annotated[str | None, typer.Option("--encoding", help="Encoding of the file, when the one found is wrong.")]
Name = Annotated[str | None, typer.Option("--name", help="Name of the batch (default: the file's).")]
Budget = Annotated[str | None, typer.Option("--budget", metavar="USD", help="Never spend more than this.")]
SkipBadRows = Annotated[bool, typer.Option("--skip-bad-rows", help="Leave bad rows out and list them in the report.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Buy anew what was bought before.")]
Json = Annotated[bool, typer.Option("--json", help="Print data as JSON.")]
Batch = Annotated[str | None, typer.Argument(metavar="[BATCH]", help="Batch id, its beginning, or its name.")]


def column_map(pairs: list[str] | None) -> dict[str, str]:
    """Read ``--map field=column``. Raises InputError naming the bad one."""
    mapping = {}
    for pair in pairs or []:
        field, sign, column = pair.partition("=")
        if not (field.strip() and sign and column.strip()):
            raise InputError(f"--map {pair!r} is not FIELD=COLUMN; write it like --map product_name=title")
        mapping[field.strip()] = column.strip()
    return mapping


def require_template(template: str | None, names: list[str]) -> str:
    """A user's own rows need a template. Raises InputError listing those there are."""
    if template is None:
        raise InputError(f"which template? Add --template with one of: {', '.join(names)}")
    return template
