"""The list of batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.core.states import State
from tasks.ledger import browsing
from tasks.ledger.browsing import BatchHead
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

    batch: BatchHead
    published: int
    stand: Stand
    shares: list[Share]

    @property
    def tone(self) -> str:
        """The colour of its word."""
        return TONES[self.stand]


@page
def home(visit: Visit) -> Response:
    """``GET /``."""
    return visit.redirect("batches")


@page
def batches(visit: Visit) -> Response:
    """``GET /batches?before=``: the newest first."""
    before = _place(visit.query.get("before", ""))
    found = browsing.heads(visit.services.ledger, _BATCHES + 1, before) if visit.services.ledger_exists() else []
    lines = list(_lines(visit, found[:_BATCHES]))
    last = lines[-1].batch if found[_BATCHES:] else None
    return visit.render(
        "batches.html",
        lines=lines,
        source=visit.url("batches", before=visit.query.get("before")),
        every=_EVERY_SECONDS if any(line.stand in MOVING for line in lines) else _EVERY_SECONDS_AT_REST,
        older=visit.url("batches", before=f"{last.created_at.isoformat()},{last.id}") if last else None,
        newest=visit.url("batches") if before else None,
    )


def _lines(visit: Visit, found: Sequence[BatchHead]) -> Iterator[Line]:
    ids = [each.id for each in found]
    if not ids:
        return
    counts, held = browsing.counts(visit.services.ledger, ids), browsing.held_wholly(visit.services.ledger, ids)
    for each in found:
        mine = counts.get(each.id, {})
        shares = look.shares(mine, each.skipped, rest={State.PLANNED})
        yield Line(each, mine.get(State.PUBLISHED, 0), stand(each.phase, mine, held.get(each.id)), shares)


def _place(text: str) -> tuple[datetime, str] | None:
    """Where a page begins; ``None``, which is the first page, for what is no place."""
    moment, _, batch_id = text.partition(",")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (at, batch_id) if at.tzinfo else None
