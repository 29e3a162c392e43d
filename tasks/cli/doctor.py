"""``imagechord doctor``: does every component answer, and what to set if not."""

from __future__ import annotations

import typer
from rich.markup import escape

from tasks import health
from tasks.cli import options
from tasks.cli.console import output, print_facts, print_json, print_next
from tasks.core.health import Health
from tasks.services import Services, current_services
from tasks.settings import SECRETS, VARIABLES, Settings, shipped_config

_BAD = 2
_MARKS = {
    "ok": "[green]ok  [/green]",
    "off": "[dim]off [/dim]",
    "warn": "[yellow]warn[/yellow]",
    "bad": "[red bold]bad [/red bold]",
}


def doctor(json: options.Json = False) -> None:
    """Check every component and say what to set; spends nothing.

    Asks the broker, the ledger, the workers, each provider of the catalogue, staging, the public store, the CMS and
    Slack whether they could be used, warns of models that are to be switched off, and says of every variable where its
    value came from: the environment, .env, or the default. A secret's value is never shown. Exit code 2 when something
    is bad.

    Examples:
        imagechord doctor
            Everything, with the mend for what is bad.
        imagechord doctor --json
            The same as data, for monitoring.

    Exit codes:
        0  Nothing is bad.
        1
        2  Something is bad.

    Environment:
        IMAGECHORD_REDIS_URL, REDIS_URL, IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL, IMAGECHORD_CONFIG
    """
    services = current_services()
    if not json:
        _print_variables(services.settings)
    found = []
    for one in health.check_all(services):
        found.append(one)
        if not json:
            _print_health(one)
    bad = [one for one in found if one.status == "bad"]
    if json:
        print_json(_as_json(services, found))
    else:
        _print_next(services, bad)
    if bad:
        raise typer.Exit(_BAD)


def _print_variables(settings: Settings) -> None:
    output.print("[bold]Settings[/bold]")
    print_facts([("config/", _config(settings)), *((name, _shown(settings, name)) for name in VARIABLES)])
    output.print("\n[bold]Components[/bold]")


def _config(settings: Settings) -> str:
    overlay = settings.config_overlay
    shipped = f"{shipped_config()} (shipped)"
    return f"{overlay}, over {shipped}" if overlay else shipped


def _shown(settings: Settings, name: str) -> str:
    value = settings.get(name)
    if value is None:
        defaults = {"IMAGECHORD_HOME": settings.home, "IMAGECHORD_OUTPUT": settings.output, "CMS_PRESET": "generic"}
        return f"{defaults[name]}   (default)" if name in defaults else "not set"
    return f"{'(secret)' if name in SECRETS else value}   from {_origin(settings, name)}"


def _origin(settings: Settings, name: str) -> str:
    return settings.sources.get(name, "environment")


def _print_health(one: Health) -> None:
    output.print(f"  {_MARKS[one.status]} [bold]{escape(one.component)}[/bold]: {escape(one.detail)}")
    if one.mend and one.status != "ok":
        output.print(f"       → {escape(one.mend)}")


def _print_next(services: Services, bad: list[Health]) -> None:
    output.print()
    if bad:
        print_next("mend what is bad, then imagechord doctor again", ", ".join(one.component for one in bad))
    elif services.settings.redis_url is None:
        print_next("imagechord run", "the sample catalogue, offline and free")
    else:
        print_next("imagechord run products.csv --template product_hero")


def _as_json(services: Services, found: list[Health]) -> dict[str, object]:
    settings = services.settings
    return {
        "healthy": all(one.status != "bad" for one in found),
        "components": [
            {"component": one.component, "status": one.status, "detail": one.detail, "mend": one.mend or None}
            for one in found
        ],
        "variables": [
            {
                "name": name,
                "set": settings.get(name) is not None,
                "value": None if name in SECRETS else settings.get(name),
                "source": _origin(settings, name) if settings.get(name) is not None else "default",
            }
            for name in VARIABLES
        ],
    }
