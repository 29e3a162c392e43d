"""A killed worker takes its turns at the CMS with it: its successor does not wait until they expire."""

from __future__ import annotations

from tasks.core.states import State
from tests.faults.test_killed_worker import HEALED_WITHIN_SECONDS
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, rows
from tests.stand_ins.cms import CmsFault, CmsStandIn
from tests.waiting import wait_until

NAMES = [f"cup-{n}" for n in range(6)]
ALLOWED = 2


def test_killed_with_every_turn_at_the_cms(make_stack: MakeStack) -> None:
    """As many writes as the CMS allows were under way in a worker that is killed: the batch goes on all the same."""
    with CmsStandIn(NAMES) as cms:
        for name in NAMES:
            cms.script(name, CmsFault(200, delay_seconds=20))
        stack = make_stack(NERVOUS, **cms.environment)
        (stack.folder / "config" / "cms.toml").write_text(f"[generic]\nper_minute = 60_000\nin_flight = {ALLOWED}\n")
        first = stack.start_worker("first")
        batch_id = stack.submit(rows(NAMES))
        stack.start(batch_id)
        wait_until(lambda: sum(map(cms.writes, NAMES)) == ALLOWED, what="writes under way")
        first.kill()
        cms.faults.clear()
        stack.start_worker("second")
        stack.wait(batch_id, HEALED_WITHIN_SECONDS)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
