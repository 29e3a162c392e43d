"""The options that several commands share, said once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from tasks.cli import completing
from tasks.core.errors import InputError
from tasks.core.planning import MAX_VARIANTS

_ROWS, _PICTURES, _BATCH = "Rows", "Pictures", "Batch"

Source = Annotated[
    Path | None,
    typer.Argument(
        metavar="CSV",
        help="CSV, TSV, JSONL or xlsx file, one row for each product; default: the sample catalogue, offline and free.",
    ),
]
Template = Annotated[
    str | None,
    typer.Option(
        "--template",
        "-t",
        metavar="NAME",
        help="Prompt template; see 'imagechord templates'. A column 'template' decides for its row.",
        autocompletion=completing.templates,
        rich_help_panel=_PICTURES,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="ALIAS",
        help="Model; see 'imagechord models'. A column 'model' decides for its row. 'preview' draws offline, free.",
        autocompletion=completing.models,
        rich_help_panel=_PICTURES,
    ),
]
Use = Annotated[
    str | None,
    typer.Option(
        "--use",
        metavar="USE",
        help="Pick the model by use: hero, bulk, edit, prototype.",
        autocompletion=completing.uses,
        rich_help_panel=_PICTURES,
    ),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Buy anew what was bought before.", rich_help_panel=_PICTURES)]
AllowUnpriced = Annotated[
    bool,
    typer.Option(
        "--allow-unpriced",
        help="Buy from models without a price too; they count as nothing, so no budget holds them.",
        rich_help_panel=_PICTURES,
    ),
]
Variants = Annotated[
    int,
    typer.Option(
        "--variants",
        metavar="N",
        min=1,
        max=MAX_VARIANTS,
        help="Pictures for each row; a column 'variants' decides for its row.",
        rich_help_panel=_PICTURES,
    ),
]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FIELD=COLUMN",
        help="Feed a field from a column, such as product_name=title; may be repeated.",
        rich_help_panel=_ROWS,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key", metavar="COLUMN", help="Column that names the pictures (default: sku).", rich_help_panel=_ROWS
    ),
]
Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=1, help="Take the first N rows.", rich_help_panel=_ROWS)
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        help="Encoding of the file (utf-8, cp949, …), where the one found is wrong.",
        rich_help_panel=_ROWS,
    ),
]
SkipBadRows = Annotated[
    bool,
    typer.Option(
        "--skip-bad-rows",
        help="Leave bad rows out and list them in the report, instead of starting nothing.",
        rich_help_panel=_ROWS,
    ),
]
Name = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Name of the batch (default: the file's).", rich_help_panel=_BATCH),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget", metavar="USD", help="Never spend more than this, in US dollars: 12.50.", rich_help_panel=_BATCH
    ),
]
Priority = Annotated[
    str,
    typer.Option(
        "--priority",
        metavar="LEVEL",
        help="Share of a model that several batches want: low, normal, high.",
        autocompletion=completing.priorities,
        rich_help_panel=_BATCH,
    ),
]
HoldPublish = Annotated[
    bool,
    typer.Option(
        "--hold-publish",
        help="Stop before the CMS: a person looks, then imagechord publish.",
        rich_help_panel=_BATCH,
    ),
]
Webhook = Annotated[
    str | None,
    typer.Option(
        "--webhook",
        metavar="URL",
        help="Tell this URL of each state that a picture reaches, signed with WEBHOOK_SECRET.",
        rich_help_panel=_BATCH,
    ),
]
RehearseDelivery = Annotated[
    bool,
    typer.Option(
        "--rehearse-delivery",
        help="Let 'preview' pictures go to the configured bucket and CMS.",
        rich_help_panel=_BATCH,
    ),
]
Skus = Annotated[
    list[str] | None,
    typer.Option(
        "--sku",
        metavar="SKU",
        help="Only the pictures of this key; may be repeated.",
        autocompletion=completing.skus,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document; money is in micro-dollars.")]
Batch = Annotated[
    str | None,
    typer.Argument(
        metavar="BATCH",
        help="Batch id, its beginning, or its name; default: the latest.",
        autocompletion=completing.batches,
    ),
]


def column_map(pairs: list[str] | None) -> dict[str, str]:
    """Read ``--map field=column``; ``field=`` leaves a column unread. Raises InputError naming the bad one."""
    mapping = {}
    for pair in pairs or []:
        field, sign, column = pair.partition("=")
        if not (field.strip() and sign):
            raise InputError(f"--map {pair!r} is not FIELD=COLUMN; write it like --map product_name=title")
        mapping[field.strip()] = column.strip()
    return mapping


def require_template(template: str | None, names: Iterable[str]) -> str:
    """A user's own rows need a template. Raises InputError listing those there are."""
    if template is None:
        raise InputError(f"which template? Add --template with one of: {', '.join(names)}")
    return template
