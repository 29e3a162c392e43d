"""What a caller asks for, wherever it comes from: the command line, Python, a message of another code base."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tasks.core.errors import InputError
from tasks.core.money import usd_micros


class SentRows(list[Mapping[str, Any]]):
    """Rows from elsewhere: what they name is no file of this machine."""


Source = str | Path | Iterable[Mapping[str, Any]]

PRIORITIES = ("low", "normal", "high")
"""How large a batch's share of a model is that several batches want."""

MOST_ROWS_IN_A_MESSAGE = 500

_KEY_CHARS = 200
_KINDS: dict[str, tuple[type, ...]] = {
    "template": (str,),
    "model": (str,),
    "use": (str,),
    "column_map": (Mapping,),
    "key_column": (str,),
    "variants": (int,),
    "limit": (int,),
    "encoding": (str,),
    "name": (str,),
    "skip_bad_rows": (bool,),
    "rehearse_delivery": (bool,),
    "fresh": (bool,),
    "allow_unpriced": (bool,),
    "idempotency_key": (str,),
    "priority": (str,),
    "hold_publish": (bool,),
    "webhook": (str,),
}


def is_s3(source: object) -> bool:
    """Whether a source is an object of S3, by its URL."""
    return isinstance(source, str) and source.startswith("s3://")


@dataclass(frozen=True)
class Request:
    """``source`` is a path, ``s3://bucket/key``, or an iterable of mappings. ``budget_usd`` in US dollars.

    ``allow_unpriced`` lets models be bought from whose price nobody has set: they count as nothing.
    ``use`` is hero, bulk, edit or prototype; ``column_map`` is field → column; ``limit`` takes the first rows.
    ``variants`` is how many pictures a row gets that does not say so itself.
    ``idempotency_key``: a second submission under the same key returns the first one's batch.
    ``priority`` is low, normal or high. With ``hold_publish`` pictures wait before the CMS is written, for somebody
    to look at them. ``webhook`` is a URL that is told of each state that a picture reaches.
    Raises InputError for an option that cannot be meant.
    """

    source: Source
    template: str
    model: str | None = None
    use: str | None = None
    column_map: Mapping[str, str] = field(default_factory=dict)
    key_column: str | None = None
    variants: int = 1
    limit: int | None = None
    encoding: str | None = None
    name: str | None = None
    budget_usd: str | float | None = None
    skip_bad_rows: bool = False
    rehearse_delivery: bool = False
    fresh: bool = False
    allow_unpriced: bool = False
    idempotency_key: str | None = None
    priority: str = "normal"
    hold_publish: bool = False
    webhook: str | None = None

    def __post_init__(self) -> None:
        for name, kinds in _KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kinds) and not (value is None and name in _OPTIONAL):
                raise InputError(f"{name} is {value!r}; it must be of type {kinds[0].__name__.lower()}")
        if self.priority not in PRIORITIES:
            raise InputError(f"unknown priority {self.priority!r}; there are {', '.join(PRIORITIES)}")
        if len(self.idempotency_key or "") > _KEY_CHARS:
            raise InputError(f"the idempotency key has more than {_KEY_CHARS} characters; shorten it")
        _ = self.budget_usd_micros

    @property
    def budget_usd_micros(self) -> int | None:
        """The budget in micro-dollars; ``None`` for no budget."""
        return None if self.budget_usd is None else usd_micros(self.budget_usd)

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the source, ready for JSON: ``Request(source, **options)`` asks for the same."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "source"}
        budget = None if self.budget_usd is None else str(self.budget_usd)
        return values | {"column_map": dict(self.column_map), "budget_usd": budget}

    @classmethod
    def from_message(cls, values: Mapping[str, Any]) -> Request:
        """Read the keyword arguments of ``imagechord.start_batch``: ``source``, or ``rows`` (≤ 500).

        Raises InputError naming what is wrong.
        """
        values = dict(values)
        rows = values.pop("rows", None)
        if rows is not None and not isinstance(rows, list):
            raise InputError("rows is not a list; give one mapping for each picture")
        if rows is not None and len(rows) > MOST_ROWS_IN_A_MESSAGE:
            raise InputError(
                f"rows has {len(rows)} entries; more than {MOST_ROWS_IN_A_MESSAGE} go through a file that the worker "
                "can read, or through S3: source=…"
            )
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(f"start_batch does not take {', '.join(unknown)}; it takes {', '.join(sorted(known))}")
        source = values.pop("source", None) if rows is None else rows
        if source is None or "template" not in values:
            raise InputError("start_batch needs template, and source or rows")
        if rows is None and not isinstance(source, str):
            raise InputError(f"source is {source!r}; it must be a path or s3://bucket/key")
        return cls(source=source, **values)


def from_text(values: Mapping[str, str]) -> dict[str, Any]:
    """Options that came as text, as those of a form or an address do: ``column_map`` is JSON, empty ones are left out.

    Raises InputError for an option that there is not, or a value that cannot be one.
    """
    return {name: _read(name, text) for name, text in values.items() if text}


def _read(name: str, text: str) -> Any:
    if name not in OPTIONS:
        raise InputError(f"there is no option {name!r}; there are {', '.join(OPTIONS)}")
    kind = _KINDS.get(name, (str,))[0]
    try:
        if kind is int:
            return int(text)
        if kind is bool:
            return _TRUTH[text.lower()]
        return json.loads(text) if kind is Mapping else text
    except (ValueError, KeyError):
        meant = {int: "a whole number", bool: "true or false"}.get(kind, 'JSON, like {"color": "colour"}')
        raise InputError(f"{name} is {text!r}; it must be {meant}") from None


_TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}

OPTIONS = tuple(each.name for each in fields(Request) if each.name != "source")
"""What a batch can be asked for with, besides its rows."""

_OPTIONAL = {each.name for each in fields(Request) if each.default is None}
