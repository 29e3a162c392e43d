"""``imagechord plan``: what a run would do, cost and refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from tasks import json_shapes, submission
from tasks.cli import options
from tasks.cli.console import errors, list_problems, note, output, print_facts, print_json, print_next, print_table
from tasks.cli.models import price
from tasks.cli.request import takes_request
from tasks.cli.wording import counted, duration, manual, money
from tasks.core.cost import manual_cost
from tasks.core.fallbacks import with_fallbacks
from tasks.core.plan import PlannedImage
from tasks.core.plan_summary import PlanSummary
from tasks.core.request import Request
from tasks.services import current_services
from tasks.submission import Planned

_REFUSED = 2
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}


@takes_request
def plan(
    request: Request,
    prompts: Annotated[bool, typer.Option("--prompts", help="Print every prompt, not only the first three.")] = False,
    json: options.Json = False,
) -> None:
    """Say what run would do, cost and refuse; touch nothing.

    Reads every row as [bold]run[/bold] would: every problem is listed with its line, and with what mends it. Shows
    how many pictures each model and template makes, the size asked for and the size the model draws, what it
    costs (low: every picture at the first try; expected: with usual retries; high: each at its last try, with its
    model's last fallback) and by which price lists, how long the models' limits make it last, and what is paid for
    already.

    Makes no file and spends nothing. Exit code 2 when a row is bad, unless --skip-bad-rows is given, a model has
    no price, unless --allow-unpriced is, or a model has been retired.

    Examples:
        imagechord plan products.csv --template product_hero
            What these rows would cost, and every one that cannot be used.
        imagechord plan products.csv --template product_hero --prompts
            Every prompt, as the model would get it.
        imagechord plan products.csv -t product --use hero --json
            The plan as data.

    Exit codes:
        0  It can be run as it is.
        2  A row is bad, or run would refuse it for another reason.

    Environment:
        IMAGECHORD_CONFIG, IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
    """
    images: list[dict[str, Any]] = []
    show = _print_prompt if prompts and not json else (lambda image: images.append(json_shapes.of_planned(image)))
    planned = submission.plan(current_services(), request, each=show if prompts else None)
    if json:
        print_json(_as_json(planned) | ({"prompts": images} if prompts else {}))
    else:
        _print(request, planned, show_first=not prompts)
    summary = planned.summary
    if (summary.bad_rows and not request.skip_bad_rows) or not summary.images or planned.refusal:
        raise typer.Exit(_REFUSED)


def _print(request: Request, planned: Planned, *, show_first: bool) -> None:
    summary = planned.summary
    output.print(
        f"[bold]{escape(_source_name(request))}[/bold]: {_rows(summary)}, {counted(summary.images, 'picture')}"
    )
    print_facts(_facts(planned))
    if summary.drawings:
        print_table(
            ("Model", "Pictures", "Asked size", "Drawn as"),
            [(d.model, f"{count:,}", str(d.asked), _drawn(d)) for d, count in summary.drawings.most_common()],
            right=(1,),
        )
    if show_first:
        for image in summary.first_images:
            _print_prompt(image)
    for text in planned.notes:
        note(text)
    if planned.problems:
        errors.print(f"[red bold]{counted(len(planned.problems), 'problem')}[/red bold]")
        list_problems(planned.problems)
    if planned.refusal:
        errors.print(f"[red bold]refused:[/red bold] {escape(planned.refusal.message)}")
    print_next(*_next(request, planned))


def _source_name(request: Request) -> str:
    return Path(request.source).name if isinstance(request.source, (str, Path)) else "rows"


def _rows(summary: PlanSummary) -> str:
    bad = f" ({summary.bad_rows:,} cannot be used)" if summary.bad_rows else ""
    return counted(summary.rows, "row") + bad


def _facts(planned: Planned) -> Iterator[tuple[str, str]]:
    summary, preferences = planned.summary, planned.summary.preferences
    if planned.encoding:
        delimiter = _DELIMITERS.get(planned.delimiter, repr(planned.delimiter)) if planned.delimiter else "none"
        yield "File", f"{planned.encoding.upper()}, delimiter: {delimiter}"
    yield "Columns", ", ".join(f"{name} ← {column or 'default'}" for name, column in planned.field_columns.items())
    yield "Templates", ", ".join(f"{name} × {count:,}" for name, count in summary.by_template.most_common()) or "–"
    if not summary.images:
        return
    if summary.references:
        yield "Starts from", f"{counted(len(summary.references), 'picture')}, in column 'reference'"
    if summary.reused:
        yield "Paid already", f"{counted(summary.reused, 'picture')}, not bought again (--fresh would)"
    yield "Cost", _cost(summary)
    yield from (("Prices" if not n else "", text) for n, text in enumerate(_prices(summary)))
    by_hand = manual(manual_cost(summary.images, preferences.manual_design))
    yield "By hand", f"{by_hand} for {counted(summary.images, 'picture')}"
    yield "Time", f"{duration(summary.seconds)}, by the models' limits and with one worker"


def _cost(summary: PlanSummary) -> str:
    cost, rate = summary.cost, summary.preferences.krw_per_usd
    unpriced = f"; {counted(cost.unpriced, 'picture')} of a model without a price not counted" if cost.unpriced else ""
    if not cost.high:
        return ("nothing known" if cost.unpriced else "free") + unpriced
    low, expected, high = (money(part, rate) for part in (cost.low, cost.expected, cost.high))
    return f"{low} low · {expected} expected · {high} high{unpriced}"


def _prices(summary: PlanSummary) -> Iterator[str]:
    """A line for each model that is used, with what takes over from it: whose it is, and its price list."""
    models = summary.catalogue.models
    for alias in summary.by_model:
        yield f"{alias}, by {models[alias].provider}: {price(models[alias])}"
        for other in models[alias].fallback:
            yield f"else {other}, by {models[other].provider}: {price(models[other])}"


def _drawn(drawing: Any) -> str:
    if drawing.asked == drawing.native_size:
        return "the same"
    return f"{drawing.native_size}, then " + ("ENLARGED" if drawing.enlarged else "cut to size")


def _print_prompt(image: PlannedImage) -> None:
    output.print(f"[bold cyan]{escape(image.key)}[/bold cyan] [dim]line {image.line}, {escape(image.model)}[/dim]")
    output.print(f"  {escape(image.prompt)}")
    for reference in image.references:
        output.print(f"  [dim]from {escape(reference.name)}, {reference.sha256[:12]}[/dim]")


def _next(request: Request, planned: Planned) -> tuple[str, str]:
    summary = planned.summary
    if not summary.images or (summary.bad_rows and not request.skip_bad_rows):
        return "mend the rows above and plan again", "or leave them out: --skip-bad-rows"
    if planned.refusal:
        return planned.refusal.mend, ""
    return "imagechord run, with the same arguments", ""


def _as_json(planned: Planned) -> json_shapes.Data:
    summary = planned.summary
    by_hand = manual_cost(summary.images, summary.preferences.manual_design)
    reached = with_fallbacks(summary.catalogue.models, summary.by_model)
    return {
        "rows": summary.rows,
        "bad_rows": summary.bad_rows,
        "images": summary.images,
        "reused": summary.reused,
        "references": len(summary.references),
        "by_model": dict(summary.by_model),
        "by_template": dict(summary.by_template),
        "to_buy": dict(summary.to_buy),
        "sizes": [
            {
                "model": d.model,
                "asked": str(d.asked),
                "native": str(d.native_size),
                "enlarged": d.enlarged,
                "images": count,
            }
            for d, count in summary.drawings.items()
        ],
        "cost": json_shapes.of_estimate(summary.cost),
        "prices": [json_shapes.of_price(summary.catalogue.models[alias]) for alias in reached],
        "fallbacks": {alias: list(summary.catalogue.models[alias].fallback) for alias in summary.by_model},
        "manual_design": json_shapes.of_manual(by_hand),
        "seconds": round(summary.seconds, 1),
        "encoding": planned.encoding or None,
        "delimiter": planned.delimiter or None,
        "columns": dict(planned.field_columns),
        "notes": list(planned.notes),
        "refusal": planned.refusal.message if planned.refusal else None,
        "problems": [json_shapes.of_problem(problem) for problem in planned.problems],
        "first_prompts": [json_shapes.of_planned(image) for image in summary.first_images],
    }
