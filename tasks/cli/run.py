"""``imagechord run``: plan, submit, watch, report – on your workers, or on an embedded stack of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import typer
from rich.markup import escape

from tasks import submission
from tasks.batches import start
from tasks.cli import options
from tasks.cli.console import errors
from tasks.cli.finishing import say_goodbye
from tasks.cli.watch import follow, unserved_queues
from tasks.core.errors import ConfigurationError
from tasks.core.money import format_usd
from tasks.core.plan_summary import PlanSummary
from tasks.devstack.valkey import EmbeddedValkey
from tasks.devstack.worker import EmbeddedWorker
from tasks.ledger import submitting
from tasks.services import Services, current_services
from tasks.settings import load_settings, shipped_config
from tasks.submission import Request

SAMPLE, SAMPLE_TEMPLATE = "samples/catalogue.csv", "product_hero"
PREVIEW = "preview"


def run(  # noqa: PLR0913, PLR0917 – one parameter per option
    source: options.Source = None,
    template: options.Template = None,
    model: options.Model = None,
    use: options.Use = None,
    mapping: options.Map = None,
    key: options.Key = None,
    limit: options.Limit = None,
    budget: options.Budget = None,
    name: options.Name = None,
    encoding: options.Encoding = None,
    skip_bad_rows: options.SkipBadRows = False,
    fresh: options.Fresh = False,
    rehearse_delivery: Annotated[
        bool, typer.Option("--rehearse-delivery", help="Let 'preview' pictures go to the configured bucket and CMS.")
    ] = False,
) -> None:
    """Make and publish a picture for every row; without CSV, for the sample catalogue, offline and free."""
    settings = load_settings()
    if source is None:
        template, model = template or SAMPLE_TEMPLATE, model or PREVIEW
    request = Request(
        source=source or shipped_config() / SAMPLE,
        template=options.require_template(template, list(settings.catalogue.templates)),
        model=model,
        use=use,
        column_map=options.column_map(mapping),
        key_column=key,
        limit=limit,
        encoding=encoding,
        name=name,
        budget_usd=budget,
        skip_bad_rows=skip_bad_rows,
        rehearse_delivery=rehearse_delivery,
        fresh=fresh,
    )
    services = current_services()
    batch_id = _resume_or_submit(services, request)
    with _stack() as worker:
        start(batch_id)
        try:
            follow(services, batch_id, worker)
        except KeyboardInterrupt:
            _say_interrupted(batch_id, embedded=worker is not None)
            raise
        code = say_goodbye(services, batch_id)
    raise typer.Exit(code)


def _resume_or_submit(services: Services, request: Request) -> str:
    """The unfinished batch of the very same rows and options, or a new one."""
    unfinished = None
    if not request.fresh and services.ledger_exists():
        unfinished = submitting.find_unfinished(services.ledger, submission.digest_of(request))
    if unfinished is not None:
        errors.print(f"Going on with {unfinished}: the same rows and options, not finished yet.")
        return unfinished
    submitted = submission.submit(services, request, approve=partial(check_components, services))
    for note in submitted.notes:
        errors.print(f"note: {escape(note)}")
    summary = submitted.summary
    cost = "" if summary is None else f", about {format_usd(summary.cost.expected)}"
    errors.print(f"{submitted.batch_id}: {submitted.total:,} pictures{cost}, {submitted.skipped:,} rows skipped")
    return submitted.batch_id


def check_components(services: Services, summary: PlanSummary) -> None:
    """See that what the plan needs is there before anything is started. Raises ConfigurationError with the mend."""
    models = services.settings.catalogue.models
    for provider in sorted({models[alias].provider for alias in summary.to_buy}):
        health = services.provider(provider).check()
        if health.status != "ok":
            raise ConfigurationError(f"{provider}: {health.detail}. {health.mend}")
    if services.settings.redis_url is not None:
        queues = unserved_queues(services, list(summary.by_model))
        if queues:
            raise ConfigurationError(
                f"no worker serves {', '.join(queues)}; start one: celery -A tasks worker (or unset REDIS_URL: "
                f"then 'imagechord run' brings its own broker and worker)"
            )


def _say_interrupted(batch_id: str, *, embedded: bool) -> None:
    if embedded:
        errors.print(
            f"\nInterrupted. The calls in flight are being finished; {batch_id} is kept. "
            f"The same command goes on where it stopped and buys nothing twice."
        )
    else:
        errors.print(f"\nNo longer watching; {batch_id} goes on. Again: imagechord watch {batch_id}")


@contextmanager
def _stack() -> Iterator[EmbeddedWorker | None]:
    """The user's broker and workers where REDIS_URL is set, else a Valkey and a worker for the time of the run."""
    settings = load_settings()
    if settings.redis_url is not None:
        yield None
        return
    with EmbeddedValkey() as valkey:
        os.environ["IMAGECHORD_REDIS_URL"] = valkey.url
        with EmbeddedWorker(settings.home / "worker.log", {"IMAGECHORD_REDIS_URL": valkey.url}) as worker:
            yield worker
