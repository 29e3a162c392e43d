"""Why a batch does not go on: the images that are stuck, and what the broker knows of them."""

from __future__ import annotations

from sqlalchemy import select

from tasks.core.states import ACTIVE
from tasks.ledger.schema import image, worker
from tasks.limits.underway import under_way
from tests.chaos.installation import Installation
from tests.chaos.interference import IMAGE_QUEUES

_MOST = 20
_SHOWN = (
    "id",
    "key",
    "state",
    "dispatch_no",
    "fence",
    "attempts",
    "unknowns",
    "not_before",
    "moved_at",
    "error_message",
)


def stuck(made: Installation, batch_id: str, seconds: float) -> str:
    """A sentence, and a line for each of the first images that have no end, and for each worker."""
    active = select(image).where(image.c.batch_id == batch_id, image.c.state.in_(ACTIVE)).order_by(image.c.id)
    with made.services.ledger.read() as connection:
        rows = connection.execute(active).mappings().all()
        workers = connection.execute(select(worker).order_by(worker.c.started_at.desc()).limit(4)).mappings().all()
    known = under_way(made.redis, IMAGE_QUEUES)
    lines = [f"nothing was published for {seconds:.0f} s; {len(rows)} images have no end:"]
    for row in rows[:_MOST]:
        where = "waiting" if row["id"] in known.waiting else "in hand" if row["id"] in known.in_hand else "no message"
        lines.append(f"  {where}: " + ", ".join(f"{name}={row[name]}" for name in _SHOWN))
    lines += [f"  worker {dict(each)}" for each in workers]
    return "\n".join(lines)
