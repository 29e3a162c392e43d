"""A template bound to the columns of a source: decided once, used for every row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.core import prompts
from tasks.core.catalogue import TemplateSpec
from tasks.core.columns import Columns, did_you_mean, listed
from tasks.core.errors import InputError
from tasks.core.pictures import Size

OVERRIDES = ("model", "use", "template", "size", "reference", "variants")
"""Columns of these names decide for their row, unless they feed a field of the template."""

Aliases = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class FieldSource:
    """Where a field's value comes from: a column, else the default; at least one of the two is there."""

    field: str
    column: str | None
    default: str | None


@dataclass(frozen=True, slots=True)
class BoundTemplate:
    """``size`` is fixed by the template, or ``size_field`` names the field that holds it.

    ``overrides`` maps the names in :data:`OVERRIDES` to the columns that give them. A column that feeds a field
    of the template (or the key) is data and never an override as well; ``notes`` says so for each.
    """

    spec: TemplateSpec
    sources: tuple[FieldSource, ...]
    size: Size | None
    size_field: str
    overrides: Mapping[str, str]
    notes: tuple[str, ...]

    def column_of(self, field: str) -> str | None:
        """The column that feeds a field; ``None`` for a default."""
        return next(source.column for source in self.sources if source.field == field)


def template_fields(spec: TemplateSpec) -> tuple[str, ...]:
    """The fields of prompt and size, in order. Raises InputError naming the template."""
    return tuple(dict.fromkeys((*prompts.fields(spec.prompt, name=spec.name), *_size_fields(spec))))


def bind(spec: TemplateSpec, columns: Columns, aliases: Aliases, key_column: str) -> BoundTemplate:
    """Resolve every field and override of a template.

    Raises InputError when a field has neither column nor default; it lists the columns that are there and the
    ``--map`` to type.
    """
    sources = tuple(_source(spec, field, columns, aliases) for field in template_fields(spec))
    taken = {key_column: "the key"} | {s.column: f"{{{s.field}}}" for s in sources if s.column}
    found = {name: columns.find(name, aliases.get(name, ())) for name in OVERRIDES}
    size_field = next(iter(_size_fields(spec)), "")
    return BoundTemplate(
        spec=spec,
        sources=sources,
        size=None if size_field else Size.parse(spec.size),
        size_field=size_field,
        overrides={name: column for name, column in found.items() if column and column not in taken},
        notes=tuple(
            f"column {column!r} feeds {taken[column]} of template {spec.name!r} and does not decide the {name} of a row"
            for name, column in found.items()
            if column in taken
        ),
    )


def _size_fields(spec: TemplateSpec) -> tuple[str, ...]:
    """``{dimensions}`` → its one field; a plain WIDTHxHEIGHT has none. Raises InputError for a mixture."""
    found = prompts.fields(spec.size, name=spec.name)
    if found and spec.size != f"{{{found[0]}}}":
        raise InputError(f"template {spec.name!r}: size {spec.size!r} is neither WIDTHxHEIGHT nor one {{field}}")
    return found


def _source(spec: TemplateSpec, field: str, columns: Columns, aliases: Aliases) -> FieldSource:
    """Find the column of one field. Raises InputError when the field can have no value."""
    column = columns.find(field, (*spec.columns.get(field, ()), *aliases.get(field, ())))
    default = spec.defaults.get(field)
    if column is None and default is None:
        raise InputError(
            f"template {spec.name!r} needs a column for {{{field}}}{did_you_mean(field, columns.names)}; "
            f"the columns are {listed(columns.names)}. Name one with --map {field}=COLUMN"
        )
    return FieldSource(field, column, default)
