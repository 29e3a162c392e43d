"""What the Tab key offers: batches of the ledger, models and templates of the catalogue.

Somebody waits for it between two keystrokes, at a prompt that is no place for messages: what cannot be known, or not
quickly, is not offered, and nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from textwrap import shorten
from typing import TypeAlias

Offers: TypeAlias = list[tuple[str, str]]
"""Values, and what the shell may show beside each; typer keeps those that begin as the word does."""

_BATCHES, _SKUS, _ABOUT_CHARS = 100, 50, 60


def _silent(offer: Callable[..., Iterable[tuple[str, str]]]) -> Callable[..., Offers]:
    """Typer looks at the names of a function's parameters, which :func:`functools.wraps` keeps, and gives those."""

    @wraps(offer)
    def offered(**wanted: str) -> Offers:
        try:
            return list(offer(**wanted))
        except Exception:  # noqa: BLE001 – whatever it is, the command itself will say it
            return []

    return offered


@_silent
def batches(incomplete: str) -> Iterable[tuple[str, str]]:
    """The latest batches by id, with their names; by name when what is typed begins one."""
    from tasks.ledger import reading
    from tasks.services import current_services

    services = current_services()
    if not services.ledger_exists():
        return
    for row in reading.list_batches(services.ledger, limit=_BATCHES):
        yield row.id, row.name
        if incomplete and not set(row.name) & set(" \t'\""):
            yield row.name, row.id


@_silent
def skus(incomplete: str) -> Iterable[tuple[str, str]]:
    """Keys of the latest batch's pictures that begin as what is typed."""
    from tasks.ledger import reading
    from tasks.services import current_services

    services = current_services()
    if not services.ledger_exists():
        return []
    latest = reading.find_batch(services.ledger, None)
    return [(key, latest.name) for key in reading.keys(services.ledger, latest.id, incomplete, _SKUS)]


@_silent
def models() -> Iterable[tuple[str, str]]:
    """Every model of the catalogue, with what it is for."""
    from tasks.settings import load_settings

    return [(alias, _about(spec.why)) for alias, spec in load_settings().catalogue.models.items()]


@_silent
def limited() -> Iterable[tuple[str, str]]:
    """What has a limit: the models, and the CMS."""
    return [*models(), ("cms", "the CMS")]


@_silent
def templates() -> Iterable[tuple[str, str]]:
    """Every prompt template, with its description."""
    from tasks.settings import load_settings

    return [(name, _about(spec.description)) for name, spec in load_settings().catalogue.templates.items()]


@_silent
def uses() -> Iterable[tuple[str, str]]:
    """What a model can be for."""
    from tasks.settings import load_settings

    first: dict[str, str] = {}
    for alias, spec in load_settings().catalogue.models.items():
        first |= {use: alias for use in spec.uses if use not in first}
    return [(use, f"takes {alias}") for use, alias in first.items()]


@_silent
def priorities() -> Iterable[tuple[str, str]]:
    """The three shares of a model."""
    from tasks.core.request import PRIORITIES

    return [(name, "") for name in PRIORITIES]


@_silent
def retryable() -> Iterable[tuple[str, str]]:
    """The states and the error classes whose pictures can be tried again."""
    from tasks.core.errors import ErrorClass
    from tasks.core.states import State

    states = (State.FAILED, State.REFUSED, State.UNKNOWN, State.CANCELLED)
    return [(str(word), "") for word in dict.fromkeys((*map(str, states), *map(str, ErrorClass)))]


def _about(text: str) -> str:
    """As much as fits a line beside a name: shells break none."""
    return shorten(text.split(". ", maxsplit=1)[0], _ABOUT_CHARS, placeholder=" …")
