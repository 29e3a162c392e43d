"""``imagechord models``: what there is to choose from, and why."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape

from tasks import json_shapes
from tasks.cli import options
from tasks.cli.console import output, print_facts, print_json, print_next
from tasks.core.catalogue import AspectSizes, ExactSizes, Limits, ListedSizes, ModelSpec
from tasks.core.errors import ConfigurationError
from tasks.core.retirement import notice
from tasks.providers.base import Capabilities
from tasks.providers.registry import capabilities_of
from tasks.settings import load_settings


def models(json: options.Json = False) -> None:
    """List the models: what each is for, price, limits, sizes.

    From models.toml, which says where each price comes from and of what date, which models take over when one gives
    up, and when its maker switches it off. [bold]--use[/bold] USE takes the first model that lists the use.

    Examples:
        imagechord models
            All of them.
        imagechord models --json
            The catalogue as data.

    Exit codes:
        0  Shown.
        2

    Environment:
        IMAGECHORD_CONFIG
    """
    settings = load_settings()
    catalogue = settings.catalogue
    if json:
        listed = [json_shapes.of_model(spec, capabilities(spec)) for spec in catalogue.models.values()]
        print_json({"default_model": catalogue.default_model, "models": listed})
        return
    for alias, spec in catalogue.models.items():
        default = "  [green](default)[/green]" if alias == catalogue.default_model else ""
        output.print(f"[bold cyan]{escape(alias)}[/bold cyan]{default}")
        if spec.why:
            print_facts([("", spec.why)], indent=0)
        print_facts(_facts(spec))
        if gone := notice(catalogue.models, alias, settings.today):
            output.print(f"  [yellow]{escape(gone)}[/yellow]")
        output.print()
    print_next("imagechord cost", "what these prices come to")


def _facts(spec: ModelSpec) -> Iterator[tuple[str, str]]:
    yield "Uses", ", ".join(spec.uses) or "–"
    yield "Price", price(spec)
    yield "Limits", limits(spec.limits)
    yield "Sizes", _sizes(spec)
    yield "Prompt", f"at most {spec.max_prompt_chars:,} characters"
    if spec.references:
        yield "Edits", f"starts from at most {spec.references} pictures"
    yield "Deadline", f"{spec.deadline_seconds:g} s for one call"
    yield "Provider", f"{spec.provider}, which calls it {spec.model}"
    yield "Can do", ", ".join(abilities(spec)) or "–"
    if spec.fallback:
        yield "Fallback", " → ".join((spec.alias, *spec.fallback))
    if spec.retires:
        yield "Retires", str(spec.retires)


def capabilities(spec: ModelSpec) -> Capabilities:
    """Its provider's; nothing for one that cannot be imported, of which ``doctor`` tells."""
    try:
        return capabilities_of(spec.provider)
    except ConfigurationError:
        return Capabilities(sizes=(), formats=())


def abilities(spec: ModelSpec) -> Iterator[str]:
    """What can be asked of a model beyond a prompt and a size, and the kinds of picture that come."""
    can = capabilities(spec)
    if can.edit and spec.references:
        yield "edits (1 picture)" if spec.references == 1 else f"edits (up to {spec.references} pictures)"
    if can.seed:
        yield "seed"
    if can.webhook:
        yield "webhook"
    yield from can.formats


def price(spec: ModelSpec) -> str:
    """The list price of one picture with its date and source, and what bills run above it."""
    if spec.price_usd is None:
        return "not known"
    amount = f"${spec.price_usd} a picture" if spec.price_usd else "free"
    if spec.price_usd and spec.surcharge_percent:
        amount += f", and bills run {spec.surcharge_percent:g} % above that"
    origin = ", ".join(str(part) for part in (spec.price_date, spec.price_source) if part)
    return f"{amount} ({origin})" if origin else amount


def limits(limits: Limits) -> str:
    """``60 a minute, 8 at once``; ``none``."""
    named = ((limits.per_minute, "a minute"), (limits.in_flight, "at once"), (limits.per_day, "a day"))
    return ", ".join(f"{value:g} {unit}" for value, unit in named if value is not None) or "none"


def _sizes(spec: ModelSpec) -> str:
    match spec.sizes:
        case AspectSizes(aspect_ratios=ratios, resolutions=resolutions):
            return f"{', '.join(resolutions)} in {', '.join(ratios)}"
        case ListedSizes(sizes=sizes):
            return ", ".join(sizes)
        case ExactSizes(multiple_of=step, max_pixels=most):
            return f"any in steps of {step}, up to {most / 1e6:.1f} megapixels"
        case _:
            return "any"
