"""What is told and updated between a batch's start and its end, whatever Slack does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from tasks.core.holds import Reason
from tasks.ledger import holding
from tasks.ledger.schema import notice, summary
from tasks.ledger.summing import claim_message, summarise
from tasks.services import Services
from tasks.settings import load_settings
from tasks.steps.held import tell_holds
from tasks.steps.slack_news import tell_news
from tasks.steps.slack_summary import send_once
from tests.contract.ledger.scene import MODEL, Scene
from tests.stand_ins.http_server import Reply
from tests.stand_ins.slack import SlackApi


@pytest.fixture
def slack() -> Iterator[SlackApi]:
    """A workspace."""
    with SlackApi() as server:
        yield server


class Told(Scene):
    """A ledger, and services that tell that workspace of it; nobody sends messages between workers."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.ledger)
        self.services = services
        services.worker_id = self.worker

    def begin(self, **values: Any) -> str:
        """A batch whose start is said, and due for an update."""
        batch_id = self.submit(2, **values)
        said = claim_message(self.ledger, batch_id, "start", self.worker)
        assert said is not None
        send_once(self.services, said, {"text": "🚀 products.csv", "blocks": []})
        self.become_due()
        return batch_id

    def become_due(self) -> None:
        """Let everything that may be updated be due."""
        with self.ledger.write() as connection:
            for table in (summary, notice):
                open_ = update(table).where(table.c.update_due_at.is_not(None))
                connection.execute(open_.values(update_due_at=datetime.now(UTC)))

    def due_in_seconds(self, table: Any = summary) -> float | None:
        """When the one message may be updated next."""
        with self.ledger.read() as connection:
            due_at = connection.execute(select(table.c.update_due_at)).scalar_one()
        return None if due_at is None else (due_at - datetime.now(UTC)).total_seconds()

    def hold(self, batch_id: str) -> None:
        """The model's account is empty."""
        with self.ledger.write() as connection:
            holding.put_on_hold(connection, batch_id, MODEL, Reason.ACCOUNT, "402: insufficient_credit")


@pytest.fixture
def told(tmp_path: Path, slack: SlackApi) -> Iterator[Told]:
    """An installation that tells the workspace."""
    services = Services(load_settings(slack.environment, tmp_path))
    with closing(services.ledger):
        yield Told(services)


def test_a_start_that_is_due_says_how_far_the_batch_is(told: Told, slack: SlackApi) -> None:
    """And then no more for a while; what has not changed is not sent."""
    batch_id = told.begin()
    tell_news(told.services, batch_id)
    tell_news(told.services, batch_id)
    assert [message["text"] for message in slack.messages] == ["⏳ `products.csv`: 0/2 · 0%"]
    assert 5 < (told.due_in_seconds() or 0) <= 15
    told.become_due()
    tell_news(told.services, batch_id)
    assert len(slack.updates) == 1


@pytest.mark.parametrize(
    ("fault", "least_seconds", "most_seconds"),
    [
        (Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "40"}), 30, 40),
        (Reply(503, "down"), 290, 300),
        (Reply(200, {"ok": False, "error": "invalid_auth"}), 290, 300),
    ],
)
def test_an_update_that_slack_does_not_take_now_is_made_later(
    told: Told, slack: SlackApi, fault: Reply, least_seconds: float, most_seconds: float
) -> None:
    """When Slack says, or in five minutes: once each, so that a dead Slack keeps no worker busy."""
    batch_id = told.begin()
    slack.faults.append(fault)
    tell_news(told.services, batch_id)
    tell_news(told.services, batch_id)
    assert slack.updates == []
    assert least_seconds < (told.due_in_seconds() or 0) <= most_seconds
    told.become_due()
    tell_news(told.services, batch_id)
    assert len(slack.updates) == 1


def test_a_message_that_cannot_be_updated_any_more_is_let_go(told: Told, slack: SlackApi) -> None:
    """Somebody has deleted it."""
    batch_id = told.begin()
    slack.faults.append(Reply(200, {"ok": False, "error": "message_not_found"}))
    tell_news(told.services, batch_id)
    assert told.due_in_seconds() is None


def test_a_trouble_of_our_own_is_one_of_slacks(told: Told, slack: SlackApi) -> None:
    """A bot without a channel: it is said in the log, and tried again when somebody may have mended it."""
    batch_id = told.begin()
    services = Services(load_settings({"SLACK_BOT_TOKEN": slack.token}, told.services.settings.directory))
    with closing(services.ledger):
        tell_news(services, batch_id)
    assert 290 < (told.due_in_seconds() or 0) <= 300


def test_a_round_that_another_one_took_over_from_says_so(told: Told, slack: SlackApi) -> None:
    """And is not looked at again."""
    batch_id = told.begin()
    holding.resume(told.ledger, batch_id)
    tell_news(told.services, batch_id)
    assert slack.messages[0]["text"].startswith("↪️")
    assert told.due_in_seconds() is None


def test_a_hold_is_told_in_the_starts_thread_and_updated_when_it_is_over(told: Told, slack: SlackApi) -> None:
    """Once; a batch that rests by then is summed up after it."""
    batch_id = told.begin()
    told.hold(batch_id)
    tell_news(told.services, batch_id)
    tell_news(told.services, batch_id)
    start, held = slack.messages
    assert (held["thread_ts"], held["text"]) == (start["ts"], "⏸️ `products.csv`: 일부 이미지를 보류했습니다")
    assert summarise(told.ledger, batch_id).round == 1
    holding.resume(told.ledger, batch_id)
    told.become_due()
    tell_news(told.services, batch_id)
    assert held["text"].startswith("▶️ `products.csv`: ")
    assert told.due_in_seconds(notice) is None


def test_a_hold_that_slack_does_not_take_is_written_down(told: Told, slack: SlackApi) -> None:
    """With the reason, and not sent again: it may have arrived."""
    batch_id = told.begin()
    told.hold(batch_id)
    slack.faults.append(Reply(503, "down"))
    assert tell_holds(told.services, batch_id)
    assert not tell_holds(told.services, batch_id)
    with told.ledger.read() as connection:
        row = connection.execute(select(notice)).one()
    assert "503" in row.error
    assert (row.posted, row.update_due_at) == (None, None)
    assert row.sent_at - row.claimed_at < timedelta(seconds=30)
