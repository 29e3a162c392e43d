"""``imagechord models``: what there is to choose from, and why."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape

from tasks.cli import data, options
from tasks.cli.console import output, print_facts, print_json, print_next
from tasks.core.catalogue import AspectSizes, ExactSizes, Limits, ListedSizes, ModelSpec
from tasks.core.money import format_usd
from tasks.settings import load_settings


def models(json: options.Json = False) -> None:
    """List the models: what each is for, price, limits, sizes.

    From models.toml, which says where each price comes from and of what date. [bold]--use[/bold] USE takes the
    first model that lists the use.
    """
    catalogue = load_settings().catalogue
    if json:
        listed = [data.of_model(spec) for spec in catalogue.models.values()]
        print_json({"default_model": catalogue.default_model, "models": listed})
        return
    for alias, spec in catalogue.models.items():
        default = "  [green](default)[/green]" if alias == catalogue.default_model else ""
        output.print(f"[bold cyan]{escape(alias)}[/bold cyan]{default}")
        if spec.why:
            print_facts([("", spec.why)], indent=0)
        print_facts(_facts(spec))
        output.print()
    print_next("imagechord cost", "what these prices come to")


def _facts(spec: ModelSpec) -> Iterator[tuple[str, str]]:
    yield "Uses", ", ".join(spec.uses) or "–"
    yield "Price", price(spec)
    yield "Limits", _limits(spec.limits)
    yield "Sizes", _sizes(spec)
    yield "Prompt", f"at most {spec.max_prompt_chars:,} characters"
    if spec.references:
        yield "Edits", f"starts from at most {spec.references} pictures"
    yield "Deadline", f"{spec.deadline_seconds:g} s for one call"
    yield "Provider", f"{spec.provider}, which calls it {spec.model}"
    if spec.fallback:
        yield "Fallback", ", ".join(spec.fallback)


def price(spec: ModelSpec) -> str:
    """The price of one picture with its date and source."""
    if spec.price_usd_micros is None:
        return "not known"
    amount = f"{format_usd(spec.price_usd_micros)} a picture" if spec.price_usd_micros else "free"
    origin = ", ".join(str(part) for part in (spec.price_date, spec.price_source) if part)
    return f"{amount} ({origin})" if origin else amount


def _limits(limits: Limits) -> str:
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
