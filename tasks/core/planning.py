"""Rows → images. Everything that can be wrong with a row is found here, before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.core import keys, prompts
from tasks.core.binding import OVERRIDES, BoundTemplate, bind, template_fields
from tasks.core.catalogue import Catalogue, ModelSpec, TemplateSpec
from tasks.core.choosing import ModelChoice, known, not_meant, unknown
from tasks.core.columns import Columns, did_you_mean, listed
from tasks.core.errors import InputError
from tasks.core.fingerprint import fingerprint
from tasks.core.key_register import KeyRegister
from tasks.core.pictures import Size
from tasks.core.plan import PlannedImage, PlanOptions, Row, RowProblem
from tasks.core.reading import Reading
from tasks.core.references import SKU, Find, Reference, UnusableReference, find_none, key_of, named, too_many
from tasks.core.sizes import NativeSize, native

DEFAULT_KEY_PATTERN = "{prefix}/{sku}-{fingerprint8}.{ext}"
MAX_VARIANTS = 10

_VARIANTS_RANGE = f"it is a whole number from 1 to {MAX_VARIANTS}"
_VARIANTS = {str(count): count for count in range(1, MAX_VARIANTS + 1)}


@dataclass(frozen=True, slots=True)
class RowPlan:
    """What became of one row: its images (one for each variant), or everything that is wrong with it."""

    line: int
    images: tuple[PlannedImage, ...] = ()
    problems: tuple[RowProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Order:
    """What all variants of a row have in common."""

    key: str
    template: TemplateSpec
    model: ModelSpec
    prompt: str
    size: Size
    references: tuple[Reference, ...]


class Planner:
    """Turns rows into images. What does not change from row to row is decided when it is built.

    ``columns`` are the source's; ``key_pattern`` is the one that the pictures will be published under; ``find`` gives
    the pictures that a row starts from. Raises InputError for an unknown template, model or use, a number of variants
    that is out of range and a field without a column, ConfigurationError for a bad pattern. It remembers the keys it
    has seen: take one planner for one source.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        options: PlanOptions,
        columns: Sequence[str],
        key_pattern: str = DEFAULT_KEY_PATTERN,
        find: Find = find_none,
    ) -> None:
        keys.check_pattern(key_pattern)
        if not 1 <= options.variants <= MAX_VARIANTS:
            raise InputError(f"variants is {options.variants}; {_VARIANTS_RANGE}")
        self._catalogue = catalogue
        self._options = options
        self._find = find
        self._columns = Columns(columns, options.column_map)
        self._keys = KeyRegister(self._key_column(), key_pattern)
        self._models = ModelChoice(catalogue, options)
        self._bound: dict[str, BoundTemplate] = {}
        self._main = self._bind(options.template)
        if not options.decided:
            self._check_map()
        self._native_sizes: dict[tuple[str, Size], NativeSize] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about how the columns are read."""
        return self._main.notes

    @property
    def field_columns(self) -> Mapping[str, str | None]:
        """Field → the column that feeds it, ``None`` for the template's default. The key stands first, as ``sku``."""
        return {"sku": self._keys.column} | {source.field: source.column for source in self._main.sources}

    @property
    def reads_references(self) -> bool:
        """Whether rows may name pictures to start from."""
        return "reference" in self._main.overrides

    def references_of(self, row: Row | RowProblem) -> tuple[str, ...]:
        """The names of the pictures that a row starts from, so that they can be fetched ahead of it."""
        return named(row.values.get(self._main.overrides.get("reference", ""), ""))

    def plan_row(self, row: Row | RowProblem) -> RowPlan:
        """Plan one row; a problem that the source has found already is handed through."""
        if isinstance(row, RowProblem):
            return RowPlan(row.line, problems=(row,))
        reading = Reading(row)
        reading.check_text()
        key = self._keys.read(reading)
        bound = self._template(reading)
        model = self._models.for_row(reading, bound or self._main)
        images = self._images(reading, key, bound, model) if bound else ()
        if reading.problems:
            return RowPlan(row.line, problems=tuple(reading.problems))
        return RowPlan(row.line, images)

    def _key_column(self) -> str:
        """Find the column that names the pictures. Raises InputError when there is none."""
        asked = self._options.key_column
        found = (
            self._columns.named(asked) if asked else self._columns.find("sku", self._catalogue.columns.get("sku", ()))
        )
        if found is None:
            what = f"there is no column {asked!r}" if asked else "no column holds the key (sku) that names each picture"
            raise InputError(
                f"{what}{did_you_mean(asked or 'sku', self._columns.names)}; "
                f"the columns are {listed(self._columns.names)}. Name one with --map sku=COLUMN"
            )
        return found

    def _bind(self, name: str) -> BoundTemplate:
        """Bind each template once. Raises InputError when it is unknown or a field of it has no column."""
        spec = known(self._catalogue.templates, name, "template")
        if spec.name not in self._bound:
            self._bound[spec.name] = bind(spec, self._columns, self._catalogue.columns, self._keys.column)
        return self._bound[spec.name]

    def _check_map(self) -> None:
        """Raise InputError for a ``--map`` whose field nobody reads."""
        specs = self._catalogue.templates.values() if "template" in self._main.overrides else [self._main.spec]
        fields = dict.fromkeys((*(name for spec in specs for name in template_fields(spec)), "sku", *OVERRIDES))
        for field, column in self._options.column_map.items():
            if field not in fields:
                raise InputError(f"--map {field}={column}: {unknown('field', field, fields)}")

    def _template(self, reading: Reading) -> BoundTemplate | None:
        """The row's template; ``None``, and reported, when it cannot be used."""
        column = self._main.overrides.get("template")
        name = reading.value(column)
        if not name or self._options.decided:
            return self._main
        try:
            return self._bind(name)
        except InputError as error:
            reading.report(column, str(error), not_meant("template"))
            return None

    def _images(self, reading: Reading, key: str, bound: BoundTemplate, model: ModelSpec) -> tuple[PlannedImage, ...]:
        """Make the row's images. Everything is read before giving up, so that all problems are reported."""
        values = _values(reading, bound)
        size = _size(reading, bound, values)
        variants = _variants(reading, bound, self._options.variants)
        references = self._references(reading, bound, model)
        prompt = "" if values is None else prompts.render(bound.spec.prompt, values).strip()
        if len(prompt) > model.max_prompt_chars:
            message = f"the prompt has {len(prompt):,} characters; {model.alias} takes {model.max_prompt_chars:,}"
            reading.report(None, message, "Shorten the values of this row, or choose another model.")
        if reading.problems or size is None:
            return ()
        order = _Order(key, bound.spec, model, prompt, size, references)
        drawn = self._native(model, size)
        images = tuple(self._image(reading.row, order, drawn, variant) for variant in range(1, variants + 1))
        self._keys.claim_outputs(reading, images)
        return images

    def _references(self, reading: Reading, bound: BoundTemplate, model: ModelSpec) -> tuple[Reference, ...]:
        """The pictures that the row starts from; those that cannot be had are reported."""
        column = bound.overrides.get("reference")
        names = named(reading.value(column))
        if len(names) > model.references:
            reading.report(column, *too_many(len(names), model, self._catalogue.models.values()))
            return ()
        found = []
        for name in names:
            if name.startswith(SKU) and not self._keys.may_start_from(reading, column, key_of(name)):
                continue
            try:
                found.append(self._find(name))
            except UnusableReference as error:
                reading.report(column, error.message, error.mend)
        return tuple(found)

    def _image(self, row: Row, order: _Order, drawn: NativeSize, variant: int) -> PlannedImage:
        return PlannedImage(
            line=row.line,
            key=order.key,
            variant=variant,
            template=order.template.name,
            model=order.model.alias,
            prompt=order.prompt,
            size=order.size,
            native_size=drawn.size,
            parameters=drawn.parameters,
            fingerprint=fingerprint(
                key=None if order.template.share else order.key,
                provider=order.model.provider,
                model=order.model.model,
                prompt=order.prompt,
                size=order.size,
                parameters=drawn.parameters,
                references=tuple(reference.sha256 for reference in order.references),
                variant=variant,
                fresh=self._options.fresh,
            ),
            row=row.values,
            references=order.references,
        )

    def _native(self, model: ModelSpec, size: Size) -> NativeSize:
        """The native size with the model's own parameters; a batch has few, so each is worked out once."""
        found = self._native_sizes.get((model.alias, size))
        if found is None:
            drawn = native(model.sizes, size)
            found = NativeSize(drawn.size, {**model.parameters, **drawn.parameters})
            self._native_sizes[model.alias, size] = found
        return found


def _values(reading: Reading, bound: BoundTemplate) -> Mapping[str, str] | None:
    """Field → text. Every field without a value is reported, and there are no values then."""
    values: dict[str, str] = {}
    for source in bound.sources:
        value = reading.value(source.column) or source.default
        if value is None:
            message = f"{{{source.field}}} of template {bound.spec.name!r} has no value"
            reading.report(source.column, message, "Fill the cell, or give the field a default in prompts.toml.")
        else:
            values[source.field] = value
    return values if len(values) == len(bound.sources) else None


def _size(reading: Reading, bound: BoundTemplate, values: Mapping[str, str] | None) -> Size | None:
    """The size in the row's ``size`` column, else the template's; ``None`` when it is missing or reported."""
    column = bound.overrides.get("size")
    if text := reading.value(column):
        return _parsed_size(reading, column, text, not_meant("size"))
    if bound.size or values is None:
        return bound.size
    return _parsed_size(reading, bound.column_of(bound.size_field), values[bound.size_field], "Correct the size.")


def _parsed_size(reading: Reading, column: str | None, text: str, mend: str) -> Size | None:
    try:
        return Size.parse(text)
    except InputError as error:
        reading.report(column, str(error), mend)
        return None


def _variants(reading: Reading, bound: BoundTemplate, default: int) -> int:
    """How many pictures of the same prompt; the default when the column is absent, empty, or wrong and reported."""
    column = bound.overrides.get("variants")
    text = reading.value(column)
    if text and text not in _VARIANTS:
        reading.report(column, f"variants is {text!r}; {_VARIANTS_RANGE}", not_meant("variants"))
    return _VARIANTS.get(text, default)
