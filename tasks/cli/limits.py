"""``imagechord limits``: what the whole cluster goes by, how it stands, and changing it while everything runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated

import typer

from tasks import limiting
from tasks.cli import completing, options
from tasks.cli.console import note, output, print_json, print_next, print_table
from tasks.cli.wording import duration
from tasks.core.errors import InputError
from tasks.core.limits import LimitState, format_rate
from tasks.services import current_services

_VALUE = "N|none"
_HEADER = ("Name", "A minute", "At once", "A day", "In flight", "Today", "Pace", "Paused")

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="A model's alias, or 'cms'; default: show all of them.",
        autocompletion=completing.limited,
    ),
]
PerMinute = Annotated[
    str | None, typer.Option("--per-minute", metavar=_VALUE, help="Calls that start in 60 seconds; also 7.5.")
]
InFlight = Annotated[str | None, typer.Option("--in-flight", metavar=_VALUE, help="Calls at the same time.")]
PerDay = Annotated[
    str | None, typer.Option("--per-day", metavar=_VALUE, help="Calls a day, which begins where the provider is.")
]
Reset = Annotated[bool, typer.Option("--reset", help="Go back to what models.toml and cms.toml say.")]


def limits(  # noqa: PLR0913, PLR0917 – one parameter per option
    name: Name = None,
    per_minute: PerMinute = None,
    in_flight: InFlight = None,
    per_day: PerDay = None,
    reset: Reset = False,
    json: options.Json = False,
) -> None:
    """Show the limits of the models and of the CMS, or change one.

    A change holds for every worker at once, and stays until --reset: the ledger keeps it. What an option does not
    name stays as it is; 'none' means no limit. 'celery -A tasks control rate_limit imagechord.generate.NAME 30/m'
    does the same to the rate.

    In the table * marks what was changed. 'Found' is the rate that the other side enforces below the one that is
    set: workers go by it, and try a little more every ten seconds.

    Examples:
        imagechord limits
            Every limit, with what is in flight and what was called today.
        imagechord limits nano-banana-2 --per-minute 30
            Half as fast from now on, on every worker.
        imagechord limits seedream-5 --in-flight 4 --per-day 2000
            Four calls at once, and two thousand a day.
        imagechord limits cms --reset
            Back to what the preset of the CMS says.

    Exit codes:
        0  Shown, or changed.
        1, 2

    Environment:
        IMAGECHORD_REDIS_URL, REDIS_URL, IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
    """
    services = current_services()
    changes = dict(_changes(per_minute, in_flight, per_day))
    if name is None and (changes or reset):
        raise InputError("which limit? Name a model or 'cms', for example: imagechord limits nano-banana-2 --reset")
    if changes and reset:
        raise InputError("--reset goes back to the catalogue, so no value can be set with it; leave one of them out")
    if name is not None and reset:
        limiting.reset(services, name)
    elif name is not None and changes:
        limiting.change(services, name, changes)
    _show([state for state in limiting.states(services) if name in {None, state.name}], name, json)
    if services.settings.redis_url is None:
        note("no broker is set (REDIS_URL), so there is nothing to measure; a change holds from the next run on")


def _changes(per_minute: str | None, in_flight: str | None, per_day: str | None) -> Iterator[tuple[str, float | None]]:
    if per_minute is not None:
        yield "per_minute", _number("--per-minute", per_minute, whole=False)
    if in_flight is not None:
        yield "in_flight", _number("--in-flight", in_flight, whole=True)
    if per_day is not None:
        yield "per_day", _number("--per-day", per_day, whole=True)


def _number(option: str, text: str, *, whole: bool) -> float | None:
    """A limit as it is typed. Raises InputError."""
    if text.lower() == "none":
        return None
    kind = "a whole number" if whole else "a number"
    try:
        value: float = int(text) if whole else float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise InputError(f"{option} {text!r} is not {kind} above 0; write it like {option} 30, or {option} none")
    return value


def _show(states: list[LimitState], name: str | None, json: bool) -> None:
    if json:
        print_json({"limits": [dataclasses.asdict(state) for state in states]})
        return
    if not states:
        raise InputError(f"{name!r} is not limited here; 'imagechord limits' lists what is")
    print_table(_HEADER, (_row(state) for state in states), right=range(1, 7))
    for state in states:
        if state.found_per_minute is not None:
            output.print(
                f"{state.name}: found {state.found_per_minute:.0f} a minute, which workers go by", markup=False
            )
    example = name or current_services().settings.catalogue.default_model
    print_next(f"imagechord limits {example} --per-minute 30", "or --reset")


def _row(state: LimitState) -> tuple[str, ...]:
    return (
        state.name,
        _limit(state, "per_minute"),
        _limit(state, "in_flight"),
        _limit(state, "per_day"),
        "–" if state.in_flight is None else str(state.in_flight_now),
        f"{state.started_today:,}",
        f"{state.pace_per_minute:.0f}",
        duration(state.paused_seconds) if state.paused_seconds else "–",
    )


def _limit(state: LimitState, limit: str) -> str:
    value = getattr(state, limit)
    return ("none" if value is None else format_rate(value)) + ("*" if limit in state.overridden else "")
