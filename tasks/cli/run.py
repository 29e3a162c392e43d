"""``imagechord run``: plan, submit, watch, report – on your workers, or on an embedded stack of its own."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import typer

from tasks import health, refusals, submission
from tasks.cli import options
from tasks.cli.console import errors, note
from tasks.cli.finishing import say_goodbye
from tasks.cli.request import takes_request
from tasks.cli.wording import counted
from tasks.cli.working import see_through
from tasks.cluster import require_same_ledger
from tasks.core.errors import ConfigurationError
from tasks.core.going_on import Rerun, rerun
from tasks.core.health import Health
from tasks.core.money import format_usd
from tasks.core.plan_summary import PlanSummary
from tasks.core.request import Request
from tasks.core.states import ACTIVE
from tasks.ledger import events, holding, reading, submitting, summing
from tasks.services import Services, current_services
from tasks.submission import Submitted


@takes_request
def run(request: Request, json: options.Json = False) -> None:
    """Make and publish a picture for every row, and wait for it.

    Validates every row first: one bad row, and nothing is started. Then shows the progress, prints the summary that
    Slack gets, writes the contact sheet and prints its path. Without CSV it makes the sample catalogue, offline and
    free.

    With REDIS_URL set it uses that broker and your workers (celery -A tasks worker); without, it brings a Valkey and
    a worker of its own, and leaves nothing of them behind.

    Ctrl-C stops in order: what is being bought is finished, and the same command goes on where it stopped. The same
    rows with the same options are one batch until it is finished, and what was bought once is never bought again
    (--fresh does). A batch that waits for a provider is tried again, one that waits for money when --budget is raised;
    what a person has paused or kept back stays so, and the command that goes on is said.

    Examples:
        imagechord run
            The sample catalogue, offline and free.
        imagechord run products.csv --template product_hero --model preview
            Your rows, drawn on this machine: look at a campaign before you pay for it.
        imagechord run products.csv --template product_hero --budget 5 --limit 10
            The first ten rows with the default model, for five dollars at most.
        imagechord run products.csv -t product --map name=title --hold-publish
            A column of another name; a person looks at the pictures before the CMS gets them.

    Exit codes:
        0, 1, 2, 3, 130

    Environment:
        IMAGECHORD_REDIS_URL, REDIS_URL, IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
        IMAGECHORD_OUTPUT, S3_BUCKET, CMS_URL, SLACK_WEBHOOK_URL, ANYCAP_API_KEY
    """
    services = current_services()
    require_same_ledger(services)
    refusals.check_webhook(services, request.webhook)
    unfinished = _unfinished(services, request)
    if unfinished is not None and not _goes_on(services, request, unfinished):
        raise typer.Exit(say_goodbye(services, unfinished, json=json))
    raise typer.Exit(see_through(services, unfinished or _submit(services, request), json=json))


def _submit(services: Services, request: Request) -> str:
    """A new batch, if all that it needs is there. Raises InputError and ConfigurationError."""
    check = _check_own_stack if services.settings.redis_url is None else _check_workers
    submitted = submission.submit(services, request, approve=partial(check, services))
    announce(submitted)
    for row in reading.list_batches(services.ledger, limit=20):
        if row.id != submitted.batch_id and (left := _active(services, row.id)):
            note(f"{row.id} ({row.name}) is unfinished and goes on too: {counted(left, 'picture')} left")
    return submitted.batch_id


def _goes_on(services: Services, request: Request, batch_id: str) -> bool:
    """Go on with an unfinished batch as far as nobody has to decide something first; whether it does."""
    found, ledger = reading.find_batch(services.ledger, batch_id), services.ledger
    if request.webhook is not None:
        events.redirect(ledger, batch_id, request.webhook)
    asked, budget = request.budget_usd_micros, found.budget_usd_micros
    grows = asked is not None and budget is not None and asked > budget
    held_by = {hold.reason for hold in holding.holds(ledger, batch_id)}
    match rerun(summing.summarise(ledger, batch_id), held_by, budget_grows=grows):
        case Rerun.WAIT:
            note(f"{batch_id} is of the same rows and options, and waits for you: nothing was started")
            return False
        case Rerun.RESUME:
            holding.resume(ledger, batch_id, asked)
        case Rerun.GO_ON if asked is not None and asked != budget:
            holding.resume(ledger, batch_id, asked)
        case _:
            pass
    if request.hold_publish:
        submitting.hold_publish(ledger, batch_id)
    note(f"going on with {batch_id}: the same rows and options, not finished yet")
    return True


def _unfinished(services: Services, request: Request) -> str | None:
    if request.fresh or not services.ledger_exists():
        return None
    with suppress(OSError):  # a file that cannot be read is explained by whoever reads its rows
        return submitting.find_unfinished(services.ledger, submission.digest_of(request))
    return None


def _active(services: Services, batch_id: str) -> int:
    counts = reading.state_counts(services.ledger, batch_id)
    return sum(count for state, count in counts.items() if state in ACTIVE)


def announce(submitted: Submitted) -> None:
    """Say what was submitted, with its notes."""
    for text in submitted.notes:
        note(text)
    expected = submitted.summary.cost.expected if submitted.summary else 0
    cost = f"about {format_usd(expected)}" if expected else "nothing to pay"
    skipped = f", {counted(submitted.skipped, 'row')} skipped" if submitted.skipped else ""
    errors.print(f"{submitted.batch_id}: {counted(submitted.total, 'picture')}, {cost}{skipped}", markup=False)


def _check_own_stack(services: Services, summary: PlanSummary) -> None:
    """See that this machine can do all that the plan needs. Raises ConfigurationError with the mend."""
    models = services.settings.catalogue.models
    used = sorted({models[alias].provider for alias in summary.to_buy})
    for name in used:
        _require(health.provider(services, name))
    _require(health.staging(services))
    _require(health.public(services))
    cms = health.cms(services)
    if cms.status == "bad":
        note(f"cms: {cms.detail}. {cms.mend}")


def _check_workers(services: Services, summary: PlanSummary) -> None:
    """See that the broker answers and that somebody serves the models. Raises ConfigurationError with the mend."""
    _require(health.broker(services))
    idle = health.unserved_queues(services, summary.by_model)
    if idle:
        raise ConfigurationError(
            f"no worker serves {', '.join(idle)}; start one: celery -A tasks worker (or unset REDIS_URL: "
            f"then 'imagechord run' brings its own broker and worker)"
        )


def _require(one: Health) -> None:
    if one.status == "bad":
        raise ConfigurationError(f"{one.component}: {one.detail}" + (f". {one.mend}" if one.mend else ""))
