"""``imagechord rollback`` after real workers have published: what was there before is there again, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.conftest import MakeStack
from tests.integration.stack import Stack, rows
from tests.stand_ins.cms import CmsFault, CmsStandIn
from tests.waiting import wait_until

COMMAND = Path(sys.executable).with_name("imagechord")
CMS_TOML = """\
[generic]
per_minute = {per_minute}
in_flight = 2
replaced = {{ path = "/api/products/{{sku}}", image_url = "image_url" }}
"""
NAMES = [f"cup-{number}" for number in range(6)]


def start(stack: Stack, *arguments: str) -> subprocess.Popen[str]:
    """A command beside the stack's workers, as the leader of a process group."""
    environment = {**os.environ, **stack.environment}
    pipe = subprocess.PIPE
    command = [str(COMMAND), *arguments]
    return subprocess.Popen(
        command, env=environment, cwd=stack.folder, stdout=pipe, stderr=pipe, text=True, process_group=0
    )


def call(stack: Stack, *arguments: str) -> Any:
    """What a command prints as JSON; it must end with the exit code that it tells."""
    process = start(stack, *arguments, "--json")
    told, problems = process.communicate(timeout=60)
    assert told, problems
    answer = json.loads(told)
    assert process.returncode == answer.get("exit_code", 0), problems
    return answer


def set_pace(stack: Stack, per_minute: int) -> None:
    """What the CMS allows, for processes that start from now on."""
    (stack.folder / "config" / "cms.toml").write_text(CMS_TOML.format(per_minute=per_minute))


def test_a_batch_is_taken_back_out_of_the_cms(make_stack: MakeStack) -> None:
    """Though a worker lost the answer to a write, and somebody has changed one record and a batch another since.

    Interrupted in the middle it goes on where it stopped, and writes no record twice.
    """
    with CmsStandIn() as cms:
        cms.products |= {name: f"https://old.example.com/{name}.png" for name in NAMES}
        before = dict(cms.products)
        stack = make_stack(**cms.environment)
        set_pace(stack, 60_000)
        stack.start_worker()
        cms.script("cup-1", CmsFault(lost_answer=True))
        batch = stack.run(rows(NAMES))
        newer = stack.run(rows(["cup-3"], name="another cup"))
        between = dict(cms.products)
        cms.products["cup-2"] = "https://by-hand.example.com/cup.png"

        planned = call(stack, "rollback", batch, "--dry-run")
        assert planned["counts"] == {"put_back": 4, "as_before": 0, "changed": 1, "later": 1, "failed": 0}
        assert cms.products == between | {"cup-2": "https://by-hand.example.com/cup.png"}

        set_pace(stack, 40)
        writes = {name: cms.writes(name) for name in NAMES}
        process = start(stack, "rollback", batch)
        wait_until(lambda: any(cms.writes(name) > writes[name] for name in NAMES), 30, "the first record")
        os.killpg(process.pid, signal.SIGINT)
        told, problems = process.communicate(timeout=30)
        assert process.returncode == 130, told + problems
        assert f"Next: imagechord rollback {batch}" in problems
        assert cms.products["cup-5"] == between["cup-5"], "it was over before it was interrupted"

        set_pace(stack, 60_000)
        done = call(stack, "rollback", batch)
        assert done["counts"]["put_back"] in {1, 2, 3}
        assert [(each["sku"], each["outcome"]) for each in done["left"]] == [("cup-2", "changed"), ("cup-3", "later")]
        kept = {name: cms.products[name] for name in NAMES if name not in {"cup-2", "cup-3"}}
        assert kept == {name: before[name] for name in kept}
        assert {name: cms.writes(name) - writes[name] for name in kept} == dict.fromkeys(kept, 1)
        assert cms.products["cup-3"] == between["cup-3"]

        for each in (newer, batch):
            code = f"from tasks.batches import rollback; print(rollback({each!r}, keys=['cup-3'])[0].outcome)"
            assert stack.python(code) == "put_back\n"
        assert cms.products["cup-3"] == before["cup-3"]
        (picture,) = call(stack, "show", "cup-1", "--batch", batch)["pictures"]
        assert picture["replaced"] == {"image_url": before["cup-1"]}
        assert picture["rolled_back_at"] is not None
