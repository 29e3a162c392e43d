"""The values a plan is made of. Rows go in, :class:`PlannedImage` and :class:`RowProblem` come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tasks.core.pictures import Size
from tasks.core.references import Reference


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the source, values as text, NFC-normalised and trimmed. ``line`` counts from 1."""

    line: int
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a row cannot become a picture, and what to do. ``column`` is empty when none is at fault."""

    line: int
    column: str
    value: str
    message: str
    mend: str
    values: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        where = f"line {self.line}" + (f", column {self.column!r}" if self.column else "")
        shown = self.value if len(self.value) <= 60 else self.value[:57] + "…"
        value = f", value {shown!r}" if self.value else ""
        return f"{where}{value}: {self.message}. {self.mend}"


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One image to be bought and published; everything a worker needs is decided here.

    ``size`` is what will be published; ``native_size`` what the model is asked for, through ``parameters``
    (the provider's own names and values). ``fingerprint`` is 64 hexadecimal characters. ``references`` are the pictures
    to start from, in their order.
    """

    line: int
    key: str
    variant: int
    template: str
    model: str
    prompt: str
    size: Size
    native_size: Size
    parameters: Mapping[str, str]
    fingerprint: str
    row: Mapping[str, str]
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the command line or the caller decides for the whole batch.

    ``model`` wins over ``use``, which wins over the catalogue's default model; a row's columns win over all.
    ``column_map`` is field → column, also for the overrides (``model``, ``use``, ``template``, ``size``,
    ``reference``, ``variants``); an empty column means: do not read it from the row.
    ``key_column`` names the output (default: the aliases of ``sku``).
    """

    template: str
    model: str | None = None
    use: str | None = None
    column_map: Mapping[str, str] = field(default_factory=dict)
    key_column: str | None = None
    variants: int = 1
    """How many pictures each row gets that does not say so itself."""
    fresh: str = ""
    """A nonce that makes every fingerprint new (``--fresh``); empty to reuse what was bought before."""
    decided: bool = False
    """``template`` and ``model`` hold for every row, whatever its columns say; so it is when rows are planned again."""
