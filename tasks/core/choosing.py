"""Which model and which template a row gets: its own columns first, then the batch's options, then the default."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from tasks.core.binding import BoundTemplate
from tasks.core.catalogue import Catalogue, ModelSpec
from tasks.core.columns import did_you_mean
from tasks.core.errors import InputError
from tasks.core.plan import PlanOptions
from tasks.core.reading import Reading

Spec = TypeVar("Spec")


def known(specs: Mapping[str, Spec], name: str, kind: str) -> Spec:
    """Look a name up, upper and lower case alike. Raises InputError with the close match and all known names."""
    found = specs.get(name) or specs.get(name.casefold())
    if found is None:
        raise InputError(unknown(kind, name, specs))
    return found


def unknown(kind: str, name: str, names: Collection[str]) -> str:
    """The message for a name that nobody knows."""
    return f"unknown {kind} {name!r}{did_you_mean(name, names)}; known are {', '.join(names)}"


def not_meant(override: str) -> str:
    """The mend for a value in an override column that perhaps was never meant as one."""
    return f"Correct it, or, if the column means something else, ignore it with --map {override}="


class ModelChoice:
    """The model of each row. ``use`` picks the first model of the catalogue that lists it.

    Raises InputError when the options name an unknown model or use.
    """

    def __init__(self, catalogue: Catalogue, options: PlanOptions) -> None:
        self._models = catalogue.models
        self._decided = options.decided
        self._uses: dict[str, ModelSpec] = {}
        for spec in catalogue.models.values():
            for use in spec.uses:
                self._uses.setdefault(use, spec)
        if options.model:
            self.batch_model = known(self._models, options.model, "model")
        elif options.use:
            self.batch_model = known(self._uses, options.use, "use")
        else:
            self.batch_model = known(self._models, catalogue.default_model, "model")

    def for_row(self, reading: Reading, bound: BoundTemplate) -> ModelSpec:
        """Column ``model``, else column ``use``, else the batch's; an unknown name is reported."""
        if self._decided:
            return self.batch_model
        tables: tuple[tuple[str, Mapping[str, ModelSpec]], ...] = (("model", self._models), ("use", self._uses))
        for override, specs in tables:
            column = bound.overrides.get(override)
            name = reading.value(column)
            if not name:
                continue
            try:
                return known(specs, name, override)
            except InputError as error:
                reading.report(column, str(error), not_meant(override))
        return self.batch_model
