"""The list of batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tasks.core.states import State
from tasks.ledger import browsing
from tasks.ledger.browsing import BatchLine
from tasks.report import look
from tasks.report.look import Share
from tasks.web.http import Response
from tasks.web.pages.stands import MOVING, TONES, Stand, stand
from tasks.web.pages.visit import Visit, page

_BATCHES = 20
_EVERY_SECONDS, _EVERY_SECONDS_AT_REST = 4, 20


@dataclass(frozen=True, slots=True)
class Line:
    """One batch, as it is drawn."""

    batch: BatchLine
    stand: Stand
    shares: list[Share]

    @property
    def tone(self) -> str:
        """The colour of its word."""
        return TONES[self.stand]

    @property
    def published(self) -> int:
        """Images whose URL is where it belongs."""
        return self.batch.counts.get(State.PUBLISHED, 0)


@page
def home(visit: Visit) -> Response:
    """``GET /``."""
    return visit.redirect("batches")


@page
def batches(visit: Visit) -> Response:
    """``GET /batches?before=``: the newest first."""
    before = _place(visit.query.get("before", ""))
    ledger = visit.services.ledger if visit.services.ledger_exists() else None
    found = browsing.batch_lines(ledger, _BATCHES + 1, before) if ledger else []
    lines = [_line(each) for each in found[:_BATCHES]]
    last = lines[-1].batch if len(found) > _BATCHES else None
    return visit.render(
        "batches.html",
        lines=lines,
        source=visit.url("batches", before=visit.query.get("before")),
        every=_EVERY_SECONDS if any(line.stand in MOVING for line in lines) else _EVERY_SECONDS_AT_REST,
        older=visit.url("batches", before=f"{last.created_at.isoformat()},{last.id}") if last else None,
        newest=visit.url("batches") if before else None,
    )


def _line(batch: BatchLine) -> Line:
    return Line(batch, stand(batch.phase, batch.counts, batch.held), look.shares(batch.counts, batch.skipped))


def _place(text: str) -> tuple[datetime, str] | None:
    """Where a page begins; ``None``, which is the first page, for what is no place."""
    moment, _, batch_id = text.partition(",")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (at, batch_id) if at.tzinfo else None
