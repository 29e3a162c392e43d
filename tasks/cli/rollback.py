"""``imagechord rollback``: put back what the CMS showed before a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated

import typer

from tasks import rolling_back
from tasks.cli import options
from tasks.cli.console import errors, note, output, print_json, print_next
from tasks.cli.finishing import PUBLISHED, WITH_FAILURES
from tasks.cli.wording import counted
from tasks.cli.working import batch_to_change
from tasks.core.rolling_back import DONE, Outcome, RolledBack
from tasks.ledger.rolling_back import count_unrecorded
from tasks.services import current_services

_INTERRUPTED = 130
_WORDS: Mapping[Outcome, str] = {
    Outcome.PUT_BACK: "put back as before the batch",
    Outcome.AS_BEFORE: "as before the batch already",
    Outcome.CHANGED: "left alone: changed since",
    Outcome.LATER: "left alone: published again since",
    Outcome.FAILED: "failed",
}
_DRY_WORDS = {**_WORDS, Outcome.PUT_BACK: "would be put back"}

DryRun = Annotated[bool, typer.Option("--dry-run", help="Read the CMS and say what would be done; change nothing.")]


def rollback(
    batch: options.Batch = None, sku: options.Skus = None, dry_run: DryRun = False, json: options.Json = False
) -> None:
    """Put back what the CMS showed before a batch.

    Each record that still shows the batch's picture gets again what it had before, and is read to see that it has.
    What somebody has changed since, or a later batch has published, is left alone and named. The pictures stay where
    they were uploaded, and nothing is bought.

    What a record had before is known where the CMS's preset says how it is read ('replaced' in config/cms.toml). The
    limits of the CMS are kept. Interrupted, the same command goes on where it stopped.

    Examples:
        imagechord rollback --dry-run
            What would become of each record of the latest batch; changes nothing.
        imagechord rollback b-20261122 --sku MUG-001 --sku BAG-002
            Two records of a batch get their old pictures again.

    Exit codes:
        0  Nothing that is still the batch's is left in the CMS.
        1  The CMS has not taken some of it, or none; run it again.
        2, 130

    Environment:
        CMS_URL, CMS_TOKEN, CMS_PRESET
        IMAGECHORD_REDIS_URL, REDIS_URL, IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
    """
    services = current_services()
    batch_id = batch_to_change(services, batch)
    rows = rolling_back.roll_back(services, batch_id, sku, dry_run=dry_run)
    counts, left = Counter[Outcome](), list[RolledBack]()
    try:
        for row in _shown(rows, quiet=json):
            counts[row.outcome] += 1
            if row.outcome not in DONE:
                left.append(row)
    except KeyboardInterrupt:
        if json:
            raise
        errors.print(f"Interrupted after {counted(counts.total(), 'record')}; what is put back stays so.", markup=False)
        print_next(f"imagechord rollback {batch_id}", "goes on where it stopped")
        raise typer.Exit(_INTERRUPTED) from None
    unrecorded = 0 if sku else count_unrecorded(services.ledger, batch_id)
    code = WITH_FAILURES if counts[Outcome.FAILED] else PUBLISHED
    if json:
        told = [{"sku": row.key, "outcome": str(row.outcome), "message": row.told} for row in left]
        numbers = {str(outcome): counts[outcome] for outcome in Outcome}
        print_json(
            {"batch": batch_id, "dry_run": dry_run, "counts": numbers, "left": told, "unrecorded": unrecorded}
            | {"exit_code": code}
        )
    else:
        _say(batch_id, counts, unrecorded, dry_run=dry_run)
    raise typer.Exit(code)


def _shown(rows: Iterator[RolledBack], *, quiet: bool) -> Iterator[RolledBack]:
    """The records as they come, on a terminal with their number; those that are left with their reason."""
    with errors.status("rolling back …") as status:
        for number, row in enumerate(rows, 1):
            status.update(f"rolling back … {counted(number, 'record')}")
            if row.told and not quiet:
                errors.print(f"  {row.key}: {row.told}", markup=False)
            yield row


def _say(batch_id: str, counts: Counter[Outcome], unrecorded: int, *, dry_run: bool) -> None:
    words = _DRY_WORDS if dry_run else _WORDS
    told = [f"{counts[outcome]:,} {words[outcome]}" for outcome in Outcome if counts[outcome]]
    output.print(f"{batch_id}: {', '.join(told) or 'nothing is left to roll back'}", markup=False)
    if unrecorded:
        note(f"what {counted(unrecorded, 'record')} showed before was not kept: the CMS was not read before the write")
    if dry_run and counts[Outcome.PUT_BACK]:
        print_next(f"imagechord rollback {batch_id}", "does it")
    elif counts[Outcome.FAILED]:
        print_next(f"imagechord rollback {batch_id}", "tries again what failed")
    else:
        print_next(f"imagechord status {batch_id}")
