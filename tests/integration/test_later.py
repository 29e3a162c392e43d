"""Pictures that a provider makes while nobody waits: asked about, with no webhook to be called by."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from tasks.core.states import State
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, prompt_of, rows
from tests.stand_ins.anycap_api import depicts
from tests.stand_ins.job_maker import JobMaker
from tests.stand_ins.slack import SlackStandIn
from tests.waiting import wait_until

LATER = """\
[models.later]
provider = "tests.stand_ins.job_maker:JobImages"
model = "later-1"
price_usd = 0.03
price_date = 2026-11-01
price_source = "a test"
sizes = { mode = "list", sizes = ["64x64"] }
deadline_seconds = 30
typical_seconds = 0.5
"""
NAMES = [f"cup-{number}" for number in range(5)]


def later_stack(make_stack: MakeStack, maker: JobMaker, more: str = "", **variables: str) -> Stack:
    """An installation with a model ``later``."""
    stack = make_stack(NERVOUS, **maker.environment, **variables)
    models = stack.folder / "config/models.toml"
    models.write_text(models.read_text() + LATER + more)
    return stack


def submit(stack: Stack, names: list[str], **options: object) -> str:
    """A batch of them, started."""
    batch_id = stack.submit(rows(names), model="later", **options)
    stack.start(batch_id)
    return batch_id


def published(stack: Stack, batch_id: str, name: str) -> bytes:
    """What the world sees of a picture."""
    url = stack.images(batch_id)[name].public_url
    assert url is not None
    return Path(unquote(urlsplit(url).path)).read_bytes()


def test_jobs_hold_no_slot_and_end_by_being_asked_about(make_stack: MakeStack) -> None:
    """One thread has five jobs out at once, their worker is killed, and another one collects what was paid for once."""
    with JobMaker() as maker, SlackStandIn() as slack:
        stack = later_stack(make_stack, maker, **slack.environment)
        first = stack.start_worker("one", "-c", "1")
        batch_id = submit(stack, NAMES)
        wait_until(lambda: len(maker.jobs) == 5, what="five jobs")
        wait_until(lambda: maker.asked, what="a question")
        first.kill()
        stack.start_worker("two", "-c", "1")
        maker.finish()
        stack.wait(batch_id)
        assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
        assert len(maker.jobs) == 5
        assert stack.counts(batch_id).spent_usd_micros == 150_000
        for name in NAMES:
            assert depicts(published(stack, batch_id, name), prompt_of(name))
        assert slack.messages[-1]["text"][0] == "✅"
