"""``imagechord templates``: the prompts, and the columns that feed them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.markup import escape

from tasks.cli import options
from tasks.cli.console import output, print_facts, print_json, print_next
from tasks.core.binding import template_fields
from tasks.core.catalogue import TemplateSpec
from tasks.settings import load_settings

_Columns = Mapping[str, tuple[str, ...]]


def templates(json: options.Json = False) -> None:
    """List the prompt templates and the columns that feed them.

    From prompts.toml. A field takes the first column of the names listed, upper and lower case alike;
    [bold]--map[/bold] FIELD=COLUMN names another. A field with a default may be left out.

    Examples:
        imagechord templates
            All of them.
        imagechord templates --json
            Fields, columns and prompts as data.

    Exit codes:
        0  Shown.
        2

    Environment:
        IMAGECHORD_CONFIG
    """
    catalogue = load_settings().catalogue
    if json:
        listed = [_as_json(spec, catalogue.columns) for spec in catalogue.templates.values()]
        print_json({"key_columns": list(catalogue.columns.get("sku", ("sku",))), "templates": listed})
        return
    for spec in catalogue.templates.values():
        output.print(f"[bold cyan]{escape(spec.name)}[/bold cyan]  {escape(spec.description)}")
        print_facts(_facts(spec, catalogue.columns))
        output.print()
    key_columns = ", ".join(catalogue.columns.get("sku", ("sku",)))
    output.print(f"Every row needs a key besides, from one of: {key_columns}; or --key COLUMN.", markup=False)
    print_next("imagechord plan products.csv --template product_hero")


def _facts(spec: TemplateSpec, shared: _Columns) -> Iterator[tuple[str, str]]:
    yield "Size", spec.size if spec.size[:1] != "{" else f"from the field {spec.size}"
    yield "Use", f"{spec.use}, {spec.language}" + (", rows with the same prompt share a picture" if spec.share else "")
    for field in template_fields(spec):
        default = f"   (default: {spec.defaults[field]})" if field in spec.defaults else ""
        yield f"{{{field}}}", f"← {', '.join(_columns(spec, field, shared))}{default}"
    yield "Prompt", spec.prompt.strip()


def _columns(spec: TemplateSpec, field: str, shared: _Columns) -> list[str]:
    return list(dict.fromkeys((field, *spec.columns.get(field, ()), *shared.get(field, ()))))


def _as_json(spec: TemplateSpec, shared: _Columns) -> dict[str, Any]:
    return {
        "name": spec.name,
        "description": spec.description,
        "language": spec.language,
        "use": spec.use,
        "size": spec.size,
        "share": spec.share,
        "fields": [
            {"field": field, "columns": _columns(spec, field, shared), "default": spec.defaults.get(field)}
            for field in template_fields(spec)
        ],
        "prompt": spec.prompt.strip(),
    }
