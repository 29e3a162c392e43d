"""``models.toml`` and ``prompts.toml``, already read, → one :class:`Catalogue` that holds together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from tasks.core.binding import template_fields
from tasks.core.catalogue import AspectSizes, Catalogue, ExactSizes, ListedSizes, ModelSpec, TemplateSpec
from tasks.core.columns import did_you_mean
from tasks.core.errors import ConfigurationError, InputError
from tasks.core.explain import explain
from tasks.core.limits import RESERVED_NAMES
from tasks.core.pictures import Size
from tasks.core.sizes import parse_ratio

Spec = TypeVar("Spec", ModelSpec, TemplateSpec)

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_COLUMNS = TypeAdapter(dict[str, tuple[str, ...]])


def parse_catalogue(models: Mapping[str, Any], prompts: Mapping[str, Any]) -> Catalogue:
    """Validate both files together.

    ``models`` has ``default_model`` and the table ``models`` (alias → ModelSpec without its alias); ``prompts``
    has ``columns`` (field → column names) and ``templates`` (name → TemplateSpec without its name).
    Raises ConfigurationError with one line for everything that is wrong.
    """
    problems: list[str] = []
    models_file = _File("models.toml", models, problems)
    prompts_file = _File("prompts.toml", prompts, problems)
    models_file.refuse_unknown_settings(("default_model", "models"))
    prompts_file.refuse_unknown_settings(("columns", "templates"))
    catalogue = Catalogue(
        models=models_file.specs("models", ModelSpec, "alias"),
        templates=prompts_file.specs("templates", TemplateSpec, "name"),
        columns=prompts_file.columns(),
        default_model=str(models.get("default_model", "")),
    )
    if not problems:
        problems += _contradictions(catalogue)
    if problems:
        raise ConfigurationError("\n".join(problems))
    return catalogue


@dataclass(frozen=True, slots=True)
class _File:
    """One of the two files; what is wrong in it is added to ``problems``."""

    name: str
    content: Mapping[str, Any]
    problems: list[str]

    def refuse_unknown_settings(self, known: tuple[str, ...]) -> None:
        for name in self.content:
            if name not in known:
                meant = f"{did_you_mean(name, known)}; there are {', '.join(known)}"
                self.problems.append(f"{self.name}: {name} is not a setting{meant}")

    def specs(self, table: str, kind: type[Spec], name_field: str) -> dict[str, Spec]:
        """Validate each entry of a table; its name becomes a field of the spec."""
        entries = self.content.get(table)
        if not isinstance(entries, Mapping) or not entries:
            self.problems.append(f"{self.name}: there is no table [{table}.NAME]; add one")
            return {}
        specs: dict[str, Spec] = {}
        for name, entry in entries.items():
            where = f"{self.name}: [{table}.{name}]"
            if not _NAME.fullmatch(name):
                self.problems.append(f"{where}: {name!r} is not a name; use lower-case letters, digits and . _ -")
            elif not isinstance(entry, Mapping):
                self.problems.append(f"{where} = {entry!r}: this must be a table")
            else:
                try:
                    specs[name] = kind.model_validate({**entry, name_field: name})
                except ValidationError as error:
                    self.problems.extend(explain(error, where, kind.model_fields))
        return specs

    def columns(self) -> dict[str, tuple[str, ...]]:
        try:
            return _COLUMNS.validate_python(self.content.get("columns", {}))
        except ValidationError as error:
            self.problems.extend(explain(error, f"{self.name}: [columns]", {}))
            return {}


def _contradictions(catalogue: Catalogue) -> Iterator[str]:
    """What is valid by itself and does not fit together."""
    models = catalogue.models
    if catalogue.default_model not in models:
        meant = did_you_mean(catalogue.default_model, models)
        yield f"models.toml: default_model = {catalogue.default_model!r} is not a model of this file{meant}"
    for alias, model in models.items():
        if alias in RESERVED_NAMES:
            yield f"models.toml: [models.{alias}]: the name {alias!r} is taken by something else; choose another"
        for finding in _model_findings(model, catalogue):
            yield f"models.toml: [models.{alias}]: {finding}"
    for name, template in catalogue.templates.items():
        for finding in _template_findings(template):
            yield f"prompts.toml: [templates.{name}]: {finding}"


def _model_findings(model: ModelSpec, catalogue: Catalogue) -> Iterator[str]:
    for other in model.fallback:
        if other == model.alias or other not in catalogue.models:
            yield f"fallback = {other!r} is not another model of this file{did_you_mean(other, catalogue.models)}"
    if model.price_usd is not None and model.price_usd < 0:
        yield f"price_usd = {model.price_usd}: a price is not negative"
    if model.price_usd and not (model.price_date and model.price_source):
        yield "price_usd needs price_date and price_source: a price without them cannot be checked"
    match model.sizes:
        case AspectSizes(aspect_ratios=ratios, resolutions=resolutions):
            if not ratios or not resolutions:
                yield "sizes needs at least one of aspect_ratios and one of resolutions"
            yield from _unreadable("sizes.aspect_ratios", ratios, parse_ratio, "write it like 16:9")
        case ListedSizes(sizes=sizes):
            if not sizes:
                yield "sizes.sizes is empty; list at least one"
            yield from _unreadable("sizes.sizes", sizes, Size.parse, "write it like 1024x1024")
        case ExactSizes(min_pixels=fewest, max_pixels=most) if fewest > most:
            yield f"sizes.min_pixels = {fewest} is more than sizes.max_pixels = {most}"
        case _:
            pass


def _unreadable(key: str, texts: tuple[str, ...], parse: Callable[[str], object], mend: str) -> Iterator[str]:
    for text in texts:
        try:
            parse(text)
        except (ValueError, InputError):
            yield f"{key}: {text!r} cannot be read; {mend}"


def _template_findings(template: TemplateSpec) -> Iterator[str]:
    try:
        fields = template_fields(template)
        if template.size[:1] != "{":
            Size.parse(template.size)
    except InputError as error:
        yield str(error)
        return
    for setting, table in (("defaults", template.defaults), ("columns", template.columns)):
        for field in table:
            if field not in fields:
                yield f"{setting}.{field}: the prompt has no {{{field}}}{did_you_mean(field, fields)}"
