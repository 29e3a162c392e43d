"""Doing failed pictures again, as they were or with another template or model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from tasks import refusals, submission
from tasks.core.catalogue import Catalogue, ModelSpec, TemplateSpec
from tasks.core.choosing import known
from tasks.core.errors import InputError
from tasks.core.fallbacks import with_fallbacks
from tasks.core.plan import PlannedImage, Row, RowProblem
from tasks.core.planning import Planner
from tasks.core.references import Reference, find_none
from tasks.core.request import Request
from tasks.core.retirement import refusal_of_retired
from tasks.core.selection import Edit, Selection
from tasks.ledger import counting, holding, reading, retrying
from tasks.ledger.engine import Ledger
from tasks.ledger.retrying import Chosen, PlannedBy, Retried
from tasks.services import Services


def retry(  # noqa: PLR0913 – one parameter per option
    services: Services,
    batch_id: str,
    selection: Selection,
    edit: Edit | None = None,
    *,
    rehearse_delivery: bool = False,
    allow_unpriced: bool = False,
) -> Retried:
    """Do the chosen pictures of a batch again, in its next round; the caller tells the workers.

    What has been bought is delivered, not bought again. With ``edit`` the pictures are planned anew from their rows:
    by templates as they are written now, and models as they were frozen into the batch (one that it does not know
    yet joins it as it is now). Raises InputError, and nothing has changed then, for keys and words that the batch
    does not know, for rows that cannot be planned so, for a model without a price, and for rehearsal pictures that
    would reach a shop.
    """
    ledger = services.ledger
    _check(ledger, batch_id, selection)
    if edit is None:
        retried = retrying.retry(ledger, batch_id, selection)
    else:
        anew = _anew(services.settings.catalogue, retrying.planned_by(ledger, batch_id), edit)
        edits = _plan_all(anew, retrying.chosen(ledger, batch_id, selection))
        asked = sorted({image.model for image in edits.values()})
        if refusal := refusal_of_retired(anew.catalogue.models, asked, services.settings.today):
            raise InputError(refusal)
        models = with_fallbacks(anew.catalogue.models, asked)
        rehearse = rehearse_delivery or anew.request.rehearse_delivery
        refusals.refuse_rehearsal(services, anew.catalogue, asked, allowed=rehearse)
        unpriced = sorted(alias for alias in models if anew.catalogue.models[alias].price_usd is None)
        unpriced_allowed = allow_unpriced or anew.request.allow_unpriced
        if refusal := refusals.refusal_of_unpriced(unpriced, allowed=unpriced_allowed):
            raise InputError(refusal)
        retried = retrying.retry(ledger, batch_id, selection, edits, anew.additions)
    # What a hold keeps waiting, it keeps waiting.
    holding.apply_holds(ledger, batch_id)
    return retried


def _check(ledger: Ledger, batch_id: str, selection: Selection) -> None:
    """See that the batch knows the words. Raises InputError."""
    if selection.keys is not None:
        reading.require_keys(ledger, batch_id, selection.keys)
    if selection.only is None or selection.only in selection.states:
        return
    with ledger.read() as connection:
        groups = counting.failure_groups(connection, batch_id)
    classes = sorted({group.error_class for group in groups if group.state in selection.states})
    if selection.only not in classes:
        there = ", ".join(classes) or "nothing that could be retried"
        raise InputError(f"--only {selection.only}: in {batch_id} there is {there}")


@dataclass(frozen=True)
class _Anew:
    """What an edit plans with. ``additions`` is what the batch's frozen catalogue has not got."""

    request: Request
    catalogue: Catalogue
    additions: Mapping[str, Any]
    planner: Callable[[str, str], Planner]
    edit: Edit
    references: dict[str, Reference]
    """The pictures that the batch's rows start from, by name, as they were found when it was planned."""


def _anew(now: Catalogue, by: PlannedBy, edit: Edit) -> _Anew:
    """Raises InputError when the edit names what nobody knows."""
    models = {alias: ModelSpec.model_validate(spec) for alias, spec in by.catalogue["models"].items()}
    templates = {name: TemplateSpec.model_validate(spec) for name, spec in by.catalogue["templates"].items()}
    new_models, new_templates = {}, {}
    if edit.template is not None:
        template = known(now.templates, edit.template, "template")
        new_templates = {template.name: template}
    if edit.model is not None:
        model = known({**now.models, **models}, edit.model, "model")
        wanted = (model.alias, *(() if model.alias in models else model.fallback))
        new_models = {alias: now.models[alias] for alias in wanted if alias not in models}
        edit = replace(edit, model=model.alias)
    everything = {"models": models | new_models, "templates": templates | new_templates}
    catalogue = now.model_copy(update=everything)
    request = Request("", **(by.options or {"template": by.template}))
    options = replace(submission.plan_options(request), use=None, decided=True)
    references: dict[str, Reference] = {}

    def find(name: str) -> Reference:
        return references[name] if name in references else find_none(name)

    @cache
    def planner(template: str, model: str) -> Planner:
        return Planner(catalogue, replace(options, template=template, model=model), by.columns, by.key_pattern, find)

    return _Anew(request, catalogue, submission.frozen(new_models, new_templates), planner, edit, references)


def _plan_all(anew: _Anew, images: Iterable[Chosen]) -> dict[int, PlannedImage]:
    """What becomes of each image, by id. Raises InputError with every problem."""
    planned: dict[int, PlannedImage] = {}
    problems: dict[str, RowProblem] = {}  # variants of a row share theirs
    for image in images:
        anew.references.update({each["name"]: Reference(**each) for each in image.reference or ()})
        planner = anew.planner(anew.edit.template or image.template, anew.edit.model or image.model)
        plan = planner.plan_row(Row(image.line, image.row))
        variants = {each.variant: each for each in plan.images}
        if image.variant in variants:
            planned[image.id] = variants[image.variant]
        else:
            problems |= {str(problem): problem for problem in plan.problems or (_no_variant(image),)}
    if problems:
        lines = len({problem.line for problem in problems.values()})
        raise InputError(f"{lines} rows cannot be planned like that; nothing was changed", tuple(problems))
    return planned


def _no_variant(image: Chosen) -> RowProblem:
    message = f"it has a variant {image.variant}, which this template does not make"
    return RowProblem(image.line, "", "", message, "Leave the row out with --sku, or choose another template.")
