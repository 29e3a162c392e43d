"""What a person does to a batch: pause, cancel, resume, publish. Whoever does it tells the workers afterwards."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.core.errors import InputError
from tasks.core.holds import Reason
from tasks.core.states import State
from tasks.ledger import holding, reading, summing
from tasks.ledger.engine import Ledger


def pause(ledger: Ledger, batch_id: str) -> None:
    """Stop buying and delivering from this moment. Raises InputError when the batch is over."""
    _require_unfinished(ledger, batch_id, "pause")
    holding.pause(ledger, batch_id)


def cancel(ledger: Ledger, batch_id: str) -> None:
    """End the batch. Raises InputError when it is over."""
    _require_unfinished(ledger, batch_id, "cancel")
    holding.cancel(ledger, batch_id)


def resume(ledger: Ledger, batch_id: str, budget_usd_micros: int | None = None) -> int:
    """Go on with what is paused or held, with a new budget if one is given; how many images waited.

    When nothing waits, no new round begins. Raises InputError for a batch that is cancelled or refused.
    """
    summary = summing.summarise(ledger, batch_id)
    if summary.phase == "cancelled":
        raise InputError(f"{batch_id} is cancelled; imagechord retry {batch_id} --only cancelled goes on with it")
    if summary.phase == "refused":
        raise InputError(f"{batch_id} was refused, nothing of it was started; imagechord status {batch_id} tells why")
    waits = any(group.state is State.HELD and group.error_class != Reason.PUBLISH for group in summary.failures)
    if not (waits or budget_usd_micros is not None or holding.holds(ledger, batch_id)):
        return 0
    return holding.resume(ledger, batch_id, budget_usd_micros)


def publish(ledger: Ledger, batch_id: str, keys: Sequence[str] | None = None) -> int:
    """Let pictures that wait for a look go into the CMS, all or those of these keys; how many.

    Raises InputError for a key that the batch does not have.
    """
    if keys is not None:
        reading.require_keys(ledger, batch_id, keys)
    images = holding.publish_held(ledger, batch_id, keys)
    # In a batch that is paused they wait on.
    holding.apply_holds(ledger, batch_id)
    return images


def _require_unfinished(ledger: Ledger, batch_id: str, what: str) -> None:
    summary = summing.summarise(ledger, batch_id)
    if summary.phase == "refused" or not (summary.active or summary.waiting or summary.phase == "planning"):
        raise InputError(f"{batch_id} is over: there is nothing to {what}; imagechord status {batch_id} tells its end")
