"""What a person does to a batch from its pages: forms that are sent, and the pages that ask before.

Whatever is done, :mod:`tasks.batches` does; afterwards the batch's page says so.
"""

from __future__ import annotations

from typing import Any

from tasks.core.money import format_usd
from tasks.web.http import Response
from tasks.web.pages.visit import Visit, find, page


@page
def pause(visit: Visit, batch_id: str) -> Response:
    """``POST /batches/{batch_id}/pause``."""
    _batches().pause(find(visit, batch_id).id)
    return _noted(visit, batch_id, "pause")


@page
def cancel(visit: Visit, batch_id: str) -> Response:
    """``POST /batches/{batch_id}/cancel``."""
    _batches().cancel(find(visit, batch_id).id)
    return _noted(visit, batch_id, "cancel")


@page
def resume(visit: Visit, batch_id: str) -> Response:
    """``POST /batches/{batch_id}/resume``, perhaps with ``budget_usd``."""
    _batches().resume(find(visit, batch_id).id, budget_usd=visit.form.get("budget_usd"))
    return _noted(visit, batch_id, "resume")


@page
def retry(visit: Visit, batch_id: str) -> Response:
    """``POST /batches/{batch_id}/retry`` with ``only`` or ``sku``, and what shall be different."""
    form = visit.form
    edit = {name: form[name] for name in ("template", "model") if form.get(name)}
    images = _batches().retry(find(visit, batch_id).id, only=form.get("only"), keys=_keys(visit), edit=edit)
    return _noted(visit, batch_id, "retry", images)


@page
def publish(visit: Visit, batch_id: str) -> Response:
    """``POST /batches/{batch_id}/publish``, all that wait for a look or that of ``sku``."""
    images = _batches().publish(find(visit, batch_id).id, keys=_keys(visit))
    return _noted(visit, batch_id, "publish", images)


@page
def ask_cancel(visit: Visit, batch_id: str) -> Response:
    """``GET /batches/{batch_id}/cancel``: whether that is meant."""
    return _ask(visit, batch_id, "cancel")


@page
def ask_resume(visit: Visit, batch_id: str) -> Response:
    """``GET /batches/{batch_id}/resume``: with which budget."""
    return _ask(visit, batch_id, "resume")


@page
def ask_retry(visit: Visit, batch_id: str) -> Response:
    """``GET /batches/{batch_id}/retry?only=`` or ``?sku=``: with which template and model."""
    catalogue = visit.services.settings.catalogue
    return _ask(visit, batch_id, "retry", templates=sorted(catalogue.templates), models=sorted(catalogue.models))


def _ask(visit: Visit, batch_id: str, what: str, **values: Any) -> Response:
    batch = find(visit, batch_id)
    spent = format_usd(batch.spent_usd_micros)
    asked = {name: visit.query[name] for name in ("only", "sku") if name in visit.query}
    return visit.render("ask.html", batch=batch, what=what, spent=spent, asked=asked, **values)


def _batches() -> Any:
    from tasks import batches  # Celery is loaded by the first thing that is done, not by a host's import of its routes

    return batches


def _keys(visit: Visit) -> list[str] | None:
    key = visit.form.get("sku")
    return None if key is None else [key]


def _noted(visit: Visit, batch_id: str, what: str, images: int | None = None) -> Response:
    return visit.redirect("batches", batch_id, noted=what, images=images)
