"""A picture that kills whoever works on it: it ends as failed, and all others are published."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tasks.core.states import State
from tests.faults.deadly import CALLS_FILE, MODEL
from tests.faults.test_killed_worker import unknown_calls
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, Worker, prompt_of, rows
from tests.stand_ins.cms import CmsStandIn
from tests.stand_ins.http_server import Reply, Request
from tests.waiting import wait_until

CUPS = [f"cup-{n}" for n in range(7)]
NAMES = ["deadly", *CUPS]
POOLS = pytest.mark.parametrize("pool", [("threads", "8"), ("prefork", "2")], ids=lambda pool: pool[0])


def with_a_supervisor(stack: Stack, batch_id: str, pool: tuple[str, str], most_lives: int = 5) -> None:
    """Start a worker, and another whenever one has died, until the batch's summary is out."""

    def done() -> bool:
        if not stack.workers or stack.workers[-1].process.poll() is not None:
            life = len(stack.workers) + 1
            assert life <= most_lives, f"it circles:\n{stack.last_words()}"
            stack.workers.append(Worker(stack, f"life-{life}", ("-P", pool[0], "-c", pool[1])))
        return stack.summary_of(batch_id) is not None

    wait_until(done, 90, "the end of the batch")


def check_ends(stack: Stack, batch_id: str, error: tuple[str, str]) -> None:
    """The deadly picture has failed, for this reason and in this step; no other one has."""
    images = stack.images(batch_id)
    ends = {name: image.state for name, image in images.items()}
    assert ends == {"deadly": State.FAILED} | dict.fromkeys(CUPS, State.PUBLISHED)
    assert (images["deadly"].error_class, images["deadly"].error_step) == error


@POOLS
def test_a_picture_that_kills_its_buyer(make_stack: MakeStack, tmp_path: Path, pool: tuple[str, str]) -> None:
    """Bought twice at most, it takes no other picture with it, although others were in flight with it."""
    calls = tmp_path / "calls"
    stack = make_stack(NERVOUS, **{CALLS_FILE: str(calls)})
    models = stack.folder / "config" / "models.toml"
    models.write_text(models.read_text() + MODEL)
    batch_id = stack.submit(rows(NAMES), model="deadly")
    stack.start(batch_id)
    with_a_supervisor(stack, batch_id, pool)
    check_ends(stack, batch_id, ("ambiguous", "generate"))
    paid = calls.read_text().splitlines()
    assert paid.count(prompt_of("deadly")) == 2
    assert len(paid) <= len(NAMES) - 1 + unknown_calls(stack)


class DeadlyCms(CmsStandIn):
    """Kills the worker, or the one child of its pool, that writes the deadly record."""

    stack: Stack
    deaths = 0

    def answer(self, request: Request) -> Reply:
        """Kill first."""
        if request.method == "PATCH" and "deadly" in request.path:
            self.deaths += 1
            worker = self.stack.workers[-1].process.pid
            for victim in _children(worker) or [worker]:
                os.kill(victim, signal.SIGKILL)
            return Reply(503)
        return super().answer(request)


def _children(process_id: int) -> list[int]:
    return list(map(int, Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()))


@pytest.mark.parametrize("pool", [("threads", "8"), ("prefork", "1")], ids=lambda pool: pool[0])
def test_a_picture_that_kills_its_messenger(make_stack: MakeStack, pool: tuple[str, str]) -> None:
    """After three deaths, two of them counted, it is given up; those that were in hand with it are delivered."""
    with DeadlyCms(NAMES) as cms:
        stack = cms.stack = make_stack(NERVOUS, **cms.environment)
        batch_id = stack.submit(rows(NAMES))
        stack.start(batch_id)
        with_a_supervisor(stack, batch_id, pool)
        check_ends(stack, batch_id, ("poison", "patch_cms"))
        assert cms.deaths == 3
        assert set(cms.products) >= set(CUPS)
