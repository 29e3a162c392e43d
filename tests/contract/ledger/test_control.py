"""A person's wishes: what cannot be is refused, and what changes nothing begins no round."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks import control
from tasks.core.errors import InputError, Overloaded
from tasks.core.holds import Reason
from tasks.core.retry import Decision
from tasks.core.selection import Selection
from tasks.core.states import State
from tasks.ledger import holding, retrying
from tasks.ledger.engine import Ledger
from tests.contract.ledger.scene import Scene, planned


def test_nothing_that_waits_is_no_new_round(scene: Scene) -> None:
    """Going on with a batch that is under way changes nothing; nor does one that only waits to be looked at."""
    batch_id = scene.submit(2, hold_publish=True)
    assert control.resume(scene.ledger, batch_id) == 0
    for dispatch in scene.release(batch_id):
        scene.generate(dispatch.ticket)
        scene.upload(dispatch.ticket)
    assert control.resume(scene.ledger, batch_id) == 0
    assert scene.counts(batch_id) == {State.HELD: 2}
    assert scene.batch(batch_id).round == 1


def test_a_pause_that_has_nothing_left_to_hold_is_lifted(scene: Scene) -> None:
    """The hold is there though no image waits yet: their calls are in flight."""
    batch_id = scene.submit(1)
    (dispatch,) = scene.release(batch_id)
    scene.claim(dispatch.ticket)
    control.pause(scene.ledger, batch_id)
    assert control.resume(scene.ledger, batch_id) == 0
    assert holding.holds(scene.ledger, batch_id) == []


@pytest.mark.parametrize("wish", [control.pause, control.cancel])
def test_what_is_over_cannot_be_stopped(scene: Scene, wish: Callable[[Ledger, str], None]) -> None:
    """It would only change how its end reads."""
    batch_id = scene.submit(1)
    scene.publish(scene.release(batch_id)[0].ticket)
    with pytest.raises(InputError, match="is over"):
        wish(scene.ledger, batch_id)
    assert scene.batch(batch_id).phase == "started"
    assert holding.holds(scene.ledger, batch_id) == []


def test_what_is_cancelled_is_not_resumed(scene: Scene) -> None:
    """The message names the command that takes the cancellation back, after which images can be bought again."""
    batch_id = scene.submit(2)
    control.cancel(scene.ledger, batch_id)
    with pytest.raises(InputError, match="--only cancelled"):
        control.resume(scene.ledger, batch_id)
    assert retrying.retry(scene.ledger, batch_id, Selection.of("cancelled")).images == 2
    for dispatch in scene.release(batch_id):
        scene.publish(dispatch.ticket)
    assert scene.counts(batch_id) == {State.PUBLISHED: 2}


def test_publishing_names_the_keys_it_does_not_know(scene: Scene) -> None:
    """Nothing is published then; a key that is known and does not wait is no mistake."""
    batch_id = scene.submit(2, hold_publish=True)
    (first, _second) = scene.release(batch_id)
    scene.generate(first.ticket)
    scene.upload(first.ticket)
    with pytest.raises(InputError, match="has the key 'SKU-9'"):
        control.publish(scene.ledger, batch_id, [planned(0).key, "SKU-9"])
    assert control.publish(scene.ledger, batch_id, [planned(0).key, planned(1).key]) == 1


def test_in_a_paused_batch_what_is_retried_or_published_waits(scene: Scene) -> None:
    """The pause is a person's word too."""
    batch_id = scene.submit(2)
    first, second = scene.release(batch_id)
    scene.fail(scene.claim(first.ticket), Overloaded("503"), Decision(end=State.FAILED))
    control.pause(scene.ledger, batch_id)
    retrying.retry(scene.ledger, batch_id, Selection())
    holding.apply_holds(scene.ledger, batch_id)
    assert scene.image(first.ticket.image_id).error_class == Reason.PAUSED
    assert scene.release(batch_id) == []
    assert scene.image(second.ticket.image_id).state == State.HELD
