"""``imagechord submit``: a batch for workers of yours."""

from __future__ import annotations

from tasks import health, submission
from tasks.batches import start
from tasks.cli import options
from tasks.cli.console import note, output, print_json, print_next
from tasks.cli.request import takes_request
from tasks.cli.run import announce
from tasks.cluster import require_same_ledger
from tasks.core.errors import ConfigurationError
from tasks.core.request import Request
from tasks.services import current_services


@takes_request
def submit(request: Request, json: options.Json = False) -> None:
    """Hand a batch to your workers and come back at once.

    Validates every row first, as [bold]plan[/bold] does: either the whole batch is handed over, or nothing is. Needs a
    broker (REDIS_URL) and workers (celery -A tasks worker); a missing worker is said at once, and the batch then
    waits for it. Prints the batch's id, which is all that a script needs for watch, status and export.

    Examples:
        imagechord submit products.csv --template product_hero --name spring
            A batch called spring.
        imagechord submit products.csv -t product_hero --json
            Its id and its numbers, for a script.

    Exit codes:
        0  The batch is with your workers, or waits for them.
        1, 2

    Environment:
        IMAGECHORD_REDIS_URL, REDIS_URL, IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
    """
    services = current_services()
    broker = health.broker(services)
    if broker.status != "ok":
        raise ConfigurationError(f"{broker.detail}. To submit to workers of yours: {broker.mend}")
    require_same_ledger(services)
    submitted = submission.submit(services, request)
    start(submitted.batch_id)
    idle = health.unserved_queues(services, submitted.summary.by_model if submitted.summary else ())
    if idle:
        note(f"no worker serves {', '.join(idle)}; the batch waits until you start one: celery -A tasks worker")
    if json:
        total, skipped = submitted.total, submitted.skipped
        print_json({"batch": submitted.batch_id, "total": total, "skipped_rows": skipped, "unserved_queues": idle})
        return
    announce(submitted)
    output.print(submitted.batch_id)
    print_next(f"imagechord watch {submitted.batch_id}")
