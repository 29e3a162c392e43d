"""Pictures that a row starts from: what its ``reference`` column names. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tasks.core.catalogue import ModelSpec
from tasks.core.columns import listed
from tasks.core.errors import InputError

SKU = "sku:"
"""``sku:KEY`` is the newest published picture of another row's key."""

_BETWEEN = re.compile(r"[;\r\n]")


@dataclass(frozen=True, slots=True)
class Reference:
    """A picture to start from. ``name`` is how the row calls it, ``sha256`` 64 hexadecimal characters of its bytes.

    ``staging_key`` is where a worker finds it; empty while it has only been looked at.
    """

    name: str
    sha256: str
    staging_key: str


class UnusableReference(InputError):
    """A reference that is no picture. ``message`` says why, ``mend`` is the sentence that says what to do."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(f"{message}. {mend}")
        self.message = message
        self.mend = mend


Find = Callable[[str], Reference]
"""From a name to its picture. Raises UnusableReference."""


def find_none(name: str) -> Reference:
    """Stands where no pictures can be looked at. Raises UnusableReference."""
    raise UnusableReference(f"{name!r} is not one of the pictures that the row came with", "Submit the row anew.")


def named(cell: str) -> tuple[str, ...]:
    """The names in a cell, in their order: a ``;`` or a line break stands between two."""
    return tuple(name for part in _BETWEEN.split(cell) if (name := part.strip()))


def key_of(name: str) -> str:
    """The key that ``sku:KEY`` names."""
    return name.removeprefix(SKU).strip()


def is_local(name: str) -> bool:
    """Whether a name is that of a file, and not a URL or an earlier picture."""
    return not name.startswith(SKU) and "://" not in name


def too_many(count: int, model: ModelSpec, models: Iterable[ModelSpec]) -> tuple[str, str]:
    """What to say of a row that names more pictures than its model takes: message and mend."""
    takes = f"at most {model.references} pictures" if model.references else "no pictures"
    able = [each.alias for each in models if each.references >= count]
    mend = f"Choose a model that edits: {listed(able)}" if able else "Name fewer pictures"
    use = "" if not able or model.references else ", or --use edit"
    return f"{model.alias} takes {takes} to start from, and the row names {count}", f"{mend}{use}."
