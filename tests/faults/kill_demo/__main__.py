"""Run the three, kill -9 each when half of its calls are paid, bring it back, and count on the servers' side.

Everything is real but the far ends: the AnyCap program talks to a stand-in that counts charges, and a stand-in CMS
and Slack record what arrives. A killed process takes its children with it, as a dead machine does.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tasks.devstack.death import die_with_parent
from tasks.devstack.valkey import EmbeddedValkey
from tests.real_anycap import real_anycap
from tests.stand_ins.anycap_api import AnycapApi, Call
from tests.stand_ins.cms import CmsStandIn
from tests.stand_ins.slack import SlackStandIn
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
PYTHON = sys.executable
CALL_SECONDS = 0.5
# Four calls at a time, as the others have; the account's limit shall not be what is measured.
OVERLAY = {
    "imagechord.toml": "worker_concurrency = 4\n",
    "models.toml": "[models.nano-banana-2.limits]\nper_minute = 6000\nin_flight = 4\n",
}


class SlowApi(AnycapApi):
    """Charges when the request arrives, and then takes its time, as image models do."""

    def charge(self, call: Call) -> str:
        """Take the money, and half a second."""
        path = super().charge(call)
        self.released.wait(CALL_SECONDS)
        return path


@dataclass
class World:
    """The far ends and a folder: what one contestant meets."""

    folder: Path
    api: SlowApi
    cms: CmsStandIn
    slack: SlackStandIn
    environment: dict[str, str]
    images: int

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a process of the contestant."""
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                arguments,
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 – one prctl call, no locks
            )

    def run(self, *arguments: str) -> None:
        """Run a process of the contestant to its end."""
        self.start(*arguments).wait()

    def kill_in_the_middle(self, process: subprocess.Popen[bytes]) -> None:
        """Kill -9 the process and all it has started, once half of the pictures are charged."""
        wait_until(lambda: len(self.api.charges) >= self.images // 2 or process.poll() is not None, 120, "half of it")
        assert process.poll() is None, (self.folder / "log").read_text()
        for pid in [process.pid, *_descendants(process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()

    def result(self, name: str) -> str:
        """One line of the table."""
        published = sum(url is not None for url in self.cms.products.values())
        twice = sum(count > 1 for count in Counter(charge.prompt for charge in self.api.charges).values())
        told = any(message["text"].startswith("✅") for message in self.slack.messages)
        counts = f"{published:>9} | {self.images - published:>4} | {twice:>13} | {len(self.api.charges):>7}"
        return f"| {name:<23} | {counts} | {'yes' if told else 'no':<12} |"


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from _descendants(int(child))


def plain_script(world: World) -> None:
    """Killed and run again: it knows nothing of its first life."""
    world.kill_in_the_middle(world.start(PYTHON, "-m", "tests.faults.kill_demo.script"))
    world.run(PYTHON, "-m", "tests.faults.kill_demo.script")


def stock_chord(world: World) -> None:
    """Its worker is killed and another one started; it gets 30 s after it has fallen silent."""
    worker = (PYTHON, "-m", "celery", "-A", "tests.faults.kill_demo.stock", "worker", "--concurrency", "4")
    world.run(PYTHON, "-c", "from tests.faults.kill_demo.stock import launch; launch()")
    world.kill_in_the_middle(world.start(*worker))
    second = world.start(*worker)
    _until_quiet(world, 30.0)
    second.terminate()
    second.wait()


def imagechord(world: World) -> None:
    """Its worker is killed and another one started; nobody does anything else."""
    worker = (PYTHON, "-m", "celery", "-A", "tasks", "worker")
    submit = "from tasks.batches import submit; submit('products.csv', template='product_en', model='nano-banana-2')"
    world.run(PYTHON, "-c", submit)
    world.kill_in_the_middle(world.start(*worker))
    second = world.start(*worker)
    _until_quiet(world, 30.0)
    second.terminate()
    second.wait()


def _until_quiet(world: World, seconds: float) -> None:
    """Wait until nothing was charged, published or said for so long."""
    seen, since = None, time.monotonic()
    while time.monotonic() - since < seconds:
        now = (len(world.api.charges), len(world.cms.requests), len(world.slack.messages))
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.2)


@contextlib.contextmanager
def world_of(images: int) -> Iterator[World]:
    """Fresh far ends, a fresh broker and a folder with the CSV."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kill-demo-")))
        valkey = stack.enter_context(EmbeddedValkey())
        api, slack = stack.enter_context(SlowApi()), stack.enter_context(SlackStandIn())
        rows = [f"MUG-{n:03},Mug {n:03},blue" for n in range(images)]
        cms = stack.enter_context(CmsStandIn(row.partition(",")[0] for row in rows))
        for name in ("bin", "output", "overlay"):
            (folder / name).mkdir()
        (folder / "products.csv").write_text("\n".join(["sku,name,color", *rows, ""]))
        (folder / "bin" / "anycap").symlink_to(real_anycap())
        for name, text in OVERLAY.items():
            (folder / "overlay" / name).write_text(text)
        environment = {
            **os.environ,
            **cms.environment,
            **slack.environment,
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "ANYCAP_API_ENDPOINT": api.endpoint,
            "ANYCAP_API_KEY": "key-of-the-demo",
            "ANYCAP_CONFIG_DIR": str(folder / "anycap"),
            "ANYCAP_NO_UPDATE": "1",
            "ANYCAP_NO_KEYRING": "1",
            "IMAGECHORD_REDIS_URL": valkey.url,
            "IMAGECHORD_CONFIG": str(folder / "overlay"),
            "STOCK_URL": f"redis+socket://{valkey.url.removeprefix('unix://').partition('?')[0]}",
        }
        yield World(folder, api, cms, slack, environment, images)


CONTESTANTS = {"plain script, run again": plain_script, "stock Celery chord": stock_chord, "imagechord": imagechord}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--only", choices=CONTESTANTS, help="run one of the three")
    chosen = parser.parse_args()
    real_anycap()
    print("| after kill -9           | published | lost | charged twice | charges | summary sent |")
    print("| ----------------------- | --------: | ---: | ------------: | ------: | ------------ |")
    for name, contest in CONTESTANTS.items():
        if chosen.only not in {None, name}:
            continue
        with world_of(chosen.images) as world:
            contest(world)
            print(world.result(name), flush=True)


if __name__ == "__main__":
    main()
