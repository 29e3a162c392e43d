"""Putting back what the CMS showed before a batch, in this process, at the pace that the CMS allows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tasks.cms_turns import CmsTurns
from tasks.core.errors import Account, ConfigurationError, InputError, StepError
from tasks.core.outages import PASSING
from tasks.core.retry import backoff_seconds
from tasks.core.rolling_back import DONE, Outcome, RolledBack, as_text, judge
from tasks.delivery.base import ReadableCms
from tasks.ledger import reading, summing
from tasks.ledger.rolling_back import WrittenRow, is_recorded, mark_rolled_back, written_rows
from tasks.services import Services

_TRIES = 3
_FAILURES_IN_A_ROW = 5
"""After so many records that a CMS in trouble has not taken, the others are not tried."""


def roll_back(
    services: Services, batch_id: str, keys: Sequence[str] | None = None, *, dry_run: bool = False
) -> Iterator[RolledBack]:
    """Put back what the CMS showed before the batch, all or for these keys; what becomes of each record.

    Only where it still shows what the batch has written. What is done is known to the ledger, so that the same call
    goes on after an interruption. A ``dry_run`` reads only: PUT_BACK says then what would be.

    Raises InputError for keys that the batch does not have, while it is under way and when nothing was kept of what
    it has replaced, ConfigurationError for a CMS that cannot be read. Going on raises StepError when the CMS is in
    trouble or refuses the token.
    """
    if keys is not None:
        reading.require_keys(services.ledger, batch_id, keys)
    if summing.summarise(services.ledger, batch_id).active:
        raise InputError(f"{batch_id} is under way; wait for its end, or stop it first: imagechord cancel {batch_id}")
    cms = _readable(services)
    if not is_recorded(services.ledger, batch_id):
        raise InputError(
            f"nothing was kept of what the CMS showed before {batch_id}: it was not read, or not written to"
        )
    work = _Work(services, cms, CmsTurns(services), batch_id, dry_run)
    return _all(work, written_rows(services.ledger, batch_id, keys))


@dataclass(frozen=True, slots=True)
class _Work:
    """What every record needs."""

    services: Services
    cms: ReadableCms
    turns: CmsTurns
    batch_id: str
    dry_run: bool

    def one(self, row: WrittenRow) -> tuple[RolledBack, StepError | None]:
        """Roll one record back, and the CMS's own trouble that has kept it from being done. Raises Account."""
        if row.later is not None:
            return RolledBack(row.key, Outcome.LATER, f"{row.later} has published it since; roll that back first"), None
        for attempt in range(1, _TRIES + 1):
            try:
                with self.turns.turn(f"rollback {self.batch_id} {row.key}"):
                    return self._put_back(row), None
            except Account:
                raise
            except StepError as error:
                trouble = error
            if trouble.error_class not in PASSING:
                return RolledBack(row.key, Outcome.FAILED, str(trouble)), None
            if attempt < _TRIES:
                asked = trouble.retry_after_seconds
                time.sleep(backoff_seconds(attempt) if asked is None else asked)
        return RolledBack(row.key, Outcome.FAILED, str(trouble)), trouble

    def _put_back(self, row: WrittenRow) -> RolledBack:
        shown = self.cms.read(row.key)
        outcome = judge(shown, row.was, row.ours)
        if outcome is Outcome.CHANGED:
            return RolledBack(row.key, outcome, f"somebody has changed it since: {as_text(shown)}")
        if not self.dry_run:
            if outcome is Outcome.PUT_BACK:
                self.cms.restore(row.key, row.was)
            assert outcome in DONE
            mark_rolled_back(self.services.ledger, self.batch_id, row.key)
        return RolledBack(row.key, outcome)


def _all(work: _Work, pages: Iterator[list[WrittenRow]]) -> Iterator[RolledBack]:
    failures = 0
    with ThreadPoolExecutor(work.turns.at_once) as threads:
        for page in pages:
            for rolled_back, trouble in threads.map(work.one, page):
                yield rolled_back
                failures = failures + 1 if trouble else 0
                if trouble and failures == _FAILURES_IN_A_ROW:
                    raise trouble


def _readable(services: Services) -> ReadableCms:
    """The CMS. Raises ConfigurationError when there is none, or none that can be read."""
    cms = services.cms
    if isinstance(cms, ReadableCms):
        return cms
    if services.settings.get("CMS_URL") is None:
        raise ConfigurationError("CMS_URL is not set: there is no CMS that a rollback could write to")
    name = services.settings.cms_preset.name
    raise ConfigurationError(
        f"[{name}] of cms.toml does not say where a record shows its picture, so nothing was kept that could be put "
        f'back; with a line like replaced = {{ path = "/api/products/{{sku}}", image_url = "image_url" }} it is kept '
        f"from the next batch on"
    )
