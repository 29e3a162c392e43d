"""The options that say what shall be made, shared by ``run``, ``plan`` and ``submit``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Signature, signature
from typing import Any

from tasks.cli import options
from tasks.core.request import Request
from tasks.services import current_services
from tasks.settings import shipped_config

SAMPLE, SAMPLE_TEMPLATE, SAMPLE_MODEL = "samples/catalogue.csv", "product_hero", "preview"


def make_request(  # noqa: PLR0913, PLR0917 – one parameter per option
    source: options.Source = None,
    template: options.Template = None,
    model: options.Model = None,
    use: options.Use = None,
    variants: options.Variants = 1,
    fresh: options.Fresh = False,
    allow_unpriced: options.AllowUnpriced = False,
    mapping: options.Map = None,
    key: options.Key = None,
    limit: options.Limit = None,
    encoding: options.Encoding = None,
    skip_bad_rows: options.SkipBadRows = False,
    name: options.Name = None,
    budget: options.Budget = None,
    priority: options.Priority = "normal",
    hold_publish: options.HoldPublish = False,
    webhook: options.Webhook = None,
    rehearse_delivery: options.RehearseDelivery = False,
) -> Request:
    """The request of a command line; without CSV, the sample catalogue with the offline model.

    Raises InputError for a missing template, and for a budget or a ``--map`` that is none.
    """
    if source is None:
        template, model = template or SAMPLE_TEMPLATE, model or (None if use else SAMPLE_MODEL)
    return Request(
        source=source or shipped_config() / SAMPLE,
        template=options.require_template(template, current_services().settings.catalogue.templates),
        model=model,
        use=use,
        variants=variants,
        column_map=options.column_map(mapping),
        key_column=key,
        limit=limit,
        encoding=encoding,
        name=name,
        budget_usd=budget,
        skip_bad_rows=skip_bad_rows,
        priority=priority,
        hold_publish=hold_publish,
        webhook=webhook,
        rehearse_delivery=rehearse_delivery,
        fresh=fresh,
        allow_unpriced=allow_unpriced,
    )


def takes_request(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every option of :func:`make_request` before its own; it gets the Request as first argument."""
    shared = signature(make_request, eval_str=True).parameters
    _request, *own = signature(command, eval_str=True).parameters.values()

    @wraps(command)
    def wrapper(**values: Any) -> None:
        request = make_request(**{name: values.pop(name) for name in shared})
        command(request, **values)

    parameters = [*shared.values(), *own]
    wrapper.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapper
