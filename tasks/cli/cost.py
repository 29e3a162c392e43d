"""``imagechord cost``: volumes by models, with manual design beside them."""

from __future__ import annotations

from typing import Annotated

import typer

from tasks import json_shapes
from tasks.cli import options
from tasks.cli.console import output, print_facts, print_json, print_next, print_table
from tasks.cli.models import price
from tasks.cli.wording import manual
from tasks.core.catalogue import ModelSpec
from tasks.core.cost import ARTICLE_VOLUMES, CostRow, cost_table
from tasks.core.money import format_usd
from tasks.settings import load_settings

_MODELS_A_TABLE = 3
"""What fits 80 columns beside the volumes and manual design."""


def cost(
    volumes: Annotated[
        list[int] | None,
        typer.Argument(metavar="PICTURES", min=1, help="Numbers of pictures; default: 100 1000 10000 100000."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Compare what 100 to 100,000 pictures cost.

    By model, with manual design beside them. List prices of models.toml, each with its date and source: what a
    first try costs, without retries.
    [bold]imagechord plan[/bold] prices your own rows.

    Examples:
        imagechord cost
            100 to 100,000 pictures.
        imagechord cost 2500
            As many as you have products.

    Exit codes:
        0  Shown.
        2

    Environment:
        IMAGECHORD_CONFIG
    """
    settings = load_settings()
    priced = [spec for spec in settings.catalogue.models.values() if spec.price_usd_micros]
    table = cost_table(priced, settings.preferences.manual_design, tuple(volumes or ARTICLE_VOLUMES))
    if json:
        print_json(_as_json(priced, table))
        return
    for start in range(0, max(len(priced), 1), _MODELS_A_TABLE):
        aliases = [spec.alias for spec in priced[start : start + _MODELS_A_TABLE]]
        print_table(
            ("Pictures", *aliases, "Manual design"),
            [_line(row, aliases) for row in table],
            right=range(len(aliases) + 1),
        )
    output.print("List prices of one picture, from models.toml:")
    print_facts((spec.alias, price(spec)) for spec in priced)
    print_next("imagechord plan products.csv --template product_hero", "what your own rows cost")


def _line(row: CostRow, aliases: list[str]) -> list[str]:
    amounts = (row.usd_micros_by_model[alias] for alias in aliases)
    shown = ["–" if amount is None else f"~{format_usd(amount)}" for amount in amounts]
    return [f"{row.images:,}", *shown, manual(row.manual)]


def _as_json(priced: list[ModelSpec], table: tuple[CostRow, ...]) -> dict[str, object]:
    return {
        "prices": [
            {
                "model": spec.alias,
                "price_usd_micros": spec.price_usd_micros,
                "date": spec.price_date.isoformat() if spec.price_date else None,
                "source": spec.price_source or None,
            }
            for spec in priced
        ],
        "volumes": [
            {
                "images": row.images,
                "cost_usd_micros": dict(row.usd_micros_by_model),
                "manual_design": json_shapes.of_manual(row.manual),
            }
            for row in table
        ],
    }
