"""Removing what nobody needs any more: staged pictures that were published long ago, what killed calls left behind."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta

from tasks.ledger import referring
from tasks.ledger.keeping import mark_removed, unneeded
from tasks.services import Services

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 30.0
_PICTURES = 500
"""Looked at in one pass, which is soon done: over a million a day."""
_REFERENCES_KEPT = timedelta(days=1)
_SCRATCH_KEPT = timedelta(hours=1)


class Pruner:
    """Goes through the staged pictures in turns, some at each pass, a pass now and then. One per process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0
        self._after: tuple[datetime, str] | None = None
        self._after_reference: tuple[datetime, str] | None = None

    def prune_if_due(self, services: Services) -> None:
        """Make a pass, unless one was made a moment ago or is being made."""
        if time.monotonic() < self._next or not self._lock.acquire(blocking=False):
            return
        try:
            self.prune(services)
            self._next = time.monotonic() + _EVERY_SECONDS
        finally:
            self._lock.release()

    def prune(self, services: Services) -> None:
        """Make a pass. Raises StepError when staging does not answer."""
        keep = timedelta(hours=services.settings.preferences.staging_keep_hours)
        window = unneeded(services.ledger, datetime.now(UTC) - keep, self._after, _PICTURES)
        for copy in window.unneeded:
            # Marked afterwards: whoever dies between the two leaves a mark on nothing, which the next pass puts right.
            services.staging.delete(copy.staging_key)
            mark_removed(services.ledger, copy)
        self._after = window.after
        if window.unneeded:
            logger.info("sweep: %d published pictures have left staging", len(window.unneeded))
        self._prune_references(services)
        _empty_scratch(services)

    def _prune_references(self, services: Services) -> None:
        """Remove pictures to start from that no image needs. A batch that is being planned has just asked for its."""
        keep = timedelta(hours=services.settings.preferences.staging_keep_hours)
        before = datetime.now(UTC) - max(keep, _REFERENCES_KEPT)
        window = referring.unneeded(services.ledger, before, self._after_reference, _PICTURES)
        for copy in window.unneeded:
            if referring.begin_removal(services.ledger, copy, before):
                services.staging.delete(copy.staging_key)
                referring.end_removal(services.ledger, copy)
        self._after_reference = window.after


def _empty_scratch(services: Services) -> None:
    """Folders of calls whose worker was killed; none that lives is as old."""
    oldest = time.time() - services.settings.catalogue.longest_deadline_seconds - _SCRATCH_KEPT.total_seconds()
    scratch = services.settings.home / "scratch"
    for folder in scratch.iterdir() if scratch.is_dir() else ():
        if folder.lstat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
