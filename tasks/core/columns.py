"""Which column feeds which field: ``--map`` first, then the field's own name, then its aliases."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches

from tasks.core.errors import InputError


def did_you_mean(word: str, known: Collection[str]) -> str:
    """``" – did you mean 'color'?"``, or nothing when no known word is close."""
    close = get_close_matches(word.casefold(), [name.casefold() for name in known], n=1)
    original = next((name for name in known if close and name.casefold() == close[0]), None)
    return f" – did you mean {original!r}?" if original else ""


def listed(names: Iterable[str]) -> str:
    """Names for a message: ``'sku', 'name'``."""
    return ", ".join(repr(name) for name in names) or "none"


class Columns:
    """The columns of a source, found by name: exactly first, then without regard to upper and lower case."""

    def __init__(self, names: Sequence[str], column_map: Mapping[str, str]) -> None:
        self.names = tuple(names)
        self._by_folded_name = {_fold(name): name for name in reversed(self.names)}
        self.mapped = {field: self._mapped(field, column) for field, column in column_map.items()}

    def _mapped(self, field: str, column: str) -> str | None:
        """Resolve one ``--map``; an empty column means that the field is not read at all."""
        if not column.strip():
            return None
        found = self.named(column)
        if found is None:
            raise InputError(
                f"--map {field}={column}: there is no column {column!r}{did_you_mean(column, self.names)}; "
                f"the columns are {listed(self.names)}"
            )
        return found

    def named(self, name: str) -> str | None:
        """Return the column of that name, or ``None``."""
        return name if name in self.names else self._by_folded_name.get(_fold(name))

    def find(self, field: str, aliases: Iterable[str] = ()) -> str | None:
        """Return the column that feeds a field, or ``None``."""
        if field in self.mapped:
            return self.mapped[field]
        candidates = (self.named(name) for name in (field, *aliases))
        return next((column for column in candidates if column is not None), None)


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()
