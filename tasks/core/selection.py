"""Which pictures of a batch a person wants again, and what shall be different. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.core.errors import InputError
from tasks.core.states import ACTIVE, State

RETRIED = (State.FAILED, State.REFUSED, State.UNKNOWN)
"""What is retried when nobody says more. Cancelled pictures were somebody's wish: they are asked for by name."""

_NOT_RETRIED = {
    State.HELD: "pictures that are held go on with 'imagechord resume', those that wait for a look with "
    "'imagechord publish'",
    State.PUBLISHED: "published pictures are done; to buy new ones, run their rows again with --fresh",
} | dict.fromkeys(ACTIVE, "such pictures are under way")


@dataclass(frozen=True, slots=True)
class Selection:
    """Pictures in one of ``states``, of these those of ``only`` (a state or an error class), and of these ``keys``."""

    states: tuple[State, ...] = RETRIED
    only: str | None = None
    keys: tuple[str, ...] | None = None

    @classmethod
    def of(cls, only: str | None = None, keys: Iterable[str] | None = None) -> Selection:
        """What ``retry`` was asked for. Raises InputError for a state whose pictures are not retried."""
        word = None if only is None else only.strip().lower()
        if word in _NOT_RETRIED:
            raise InputError(f"--only {word}: {_NOT_RETRIED[State(word)]}")
        states = (State.CANCELLED,) if word == State.CANCELLED else RETRIED
        return cls(states, word, None if keys is None else tuple(dict.fromkeys(keys)))


@dataclass(frozen=True, slots=True)
class Edit:
    """What is different this time. ``None`` stays as it was."""

    template: str | None = None
    model: str | None = None

    @classmethod
    def of(cls, changes: Iterable[tuple[str, str]]) -> Edit | None:
        """From names and values; ``None`` for no change. Raises InputError for what cannot be edited."""
        values = {name.strip(): value.strip() for name, value in changes}
        for name, value in values.items():
            if name not in {"template", "model"} or not value:
                raise InputError(f"{name}={value}: what can be edited is template=NAME and model=ALIAS")
        return cls(**values) if values else None
