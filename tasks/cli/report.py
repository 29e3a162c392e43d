"""``imagechord report``: the contact sheet."""

from __future__ import annotations

from tasks.cli import options
from tasks.cli.console import output, print_json, print_next
from tasks.cli.finishing import open_ledger
from tasks.ledger import reading
from tasks.reporting import write_report
from tasks.services import current_services


def report(batch: options.Batch = None, json: options.Json = False) -> None:
    """Write a batch's contact sheet as HTML.

    Every picture with prompt, model, cost, state and links, failures first.

    One self-contained page for a thousand pictures, under IMAGECHORD_OUTPUT/reports/BATCH; prints its path. May be
    written while the batch is under way, and again at any time.

    Examples:
        imagechord report
            The latest batch.
        imagechord report spring --json
            Where the page was written, as data.

    Exit codes:
        0  It was written.
        1, 2

    Environment:
        IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL, IMAGECHORD_OUTPUT
    """
    services = current_services()
    batch_id = reading.find_batch(open_ledger(services), batch).id
    path = write_report(services, batch_id)
    if json:
        print_json({"batch": batch_id, "path": str(path), "url": services.report_url(batch_id)})
        return
    output.print(str(path), markup=False)
    print_next(f"imagechord export {batch_id} --output manifest.csv", "the same as a table")
