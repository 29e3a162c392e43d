"""Slack with a bot's token and a real worker: starts are kept up to date, holds answer them, the end sums up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tasks.core.states import State
from tasks.ledger import following, holding, summing
from tests.integration.stack import NERVOUS, Stack, anycap_variables, rows
from tests.real_anycap import real_anycap
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.stand_ins.http_server import Reply
from tests.stand_ins.slack import SlackApi
from tests.waiting import wait_until

PREFERENCES = f'{NERVOUS}web_base_url = "https://shop.example.com/imagechord"\n'
CDN = "https://cdn.example.com"


@dataclass(frozen=True)
class Shop:
    """An installation with one worker, whose pictures are public, and its channel."""

    stack: Stack
    api: AnycapApi
    slack: SlackApi

    def messages(self, name: str) -> list[dict[str, Any]]:
        """What the channel shows of a batch now, oldest first."""
        return [message for message in self.slack.messages if name in message["text"]]

    def texts(self, name: str) -> list[str]:
        """The same, in words."""
        return [message["text"] for message in self.messages(name)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """For all tests of this module."""
    folder = tmp_path_factory.mktemp("shop")
    with AnycapApi() as api, SlackApi() as slack:
        variables = {
            **anycap_variables(api, real_anycap(), folder / "bin"),
            **slack.environment,
            "PUBLIC_BASE_URL": CDN,
        }
        with Stack(folder / "stack", variables, PREFERENCES) as stack:
            stack.start_worker()
            yield Shop(stack, api, slack)


def test_an_empty_account_from_start_to_end(shop: Shop) -> None:
    """One message for the model that is held, in the start's thread; it is mended, and all of them say so."""
    shop.api.fault_for = lambda prompt, _number: Fault.NO_CREDIT if "poor" in prompt else None
    source = [
        *rows([f"poor-{n}" for n in range(12)], model="quick"),
        *rows([f"good-{n}" for n in range(8)], model="other"),
    ]
    batch_id = shop.stack.run(source, model=None, name="spring", budget_usd="5")
    wait_until(lambda: shop.texts("spring")[0].startswith("⚠️"), 20, "the last update of the start")
    start, held, end = shop.messages("spring")
    assert "$5.00" in str(start)
    assert f"https://shop.example.com/imagechord/batches/{batch_id}" in str(start)
    assert (held["text"], held["thread_ts"]) == ("⏸️ `spring`: some images are on hold", start["ts"])
    assert f"imagechord resume {batch_id}" in str(held)
    assert end["text"] == "⚠️ `spring`: 8/20 succeeded · 0 failed · 12 waiting"
    assert "thread_ts" not in end
    pictures = [block["accessory"] for block in end["blocks"] if "accessory" in block]
    assert len(pictures) == 6
    assert all(picture["image_url"].startswith(f"{CDN}/") for picture in pictures)
    assert all(picture["alt_text"].startswith("good-") for picture in pictures)

    shop.api.fault_for = lambda _prompt, _number: None
    shop.slack.fetches = False  # and a summary whose pictures Slack cannot fetch is said without them
    holding.resume(shop.stack.services.ledger, batch_id)
    shop.stack.start(batch_id)
    shop.stack.wait(batch_id)
    wait_until(lambda: [text[0] for text in shop.texts("spring")] == ["⚠", "▶", "⚠", "✅", "✅"], 20, "all news")
    assert not any("accessory" in block for block in shop.messages("spring")[-1]["blocks"])
    assert shop.stack.summary_of(batch_id) == {"message": shop.stack.summary_of(batch_id)["message"], "error": None}
    shop.slack.fetches = True


def test_a_start_shows_how_far_the_batch_is(shop: Shop) -> None:
    """When it is due, and not before Slack wants it; its last word is the round's end, whatever brings it."""
    ledger = shop.stack.services.ledger
    batch_id = shop.stack.submit(rows([f"slow-{n}" for n in range(4)]), model="slow", name="summer")
    shop.stack.start(batch_id)
    wait_until(lambda: shop.stack.counts(batch_id).published, 30, "the first picture")
    wait_until(lambda: shop.texts("summer"), 10, "the start")
    shop.slack.faults.append(Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "2"}))
    began, before = time.monotonic(), len(shop.slack.updates)
    following.hasten(ledger, batch_id)
    wait_until(lambda: len(shop.slack.updates) > before, 30, "an update")
    assert time.monotonic() - began > 2
    assert shop.texts("summer")[0].startswith("⏳")
    assert "▰" in str(shop.messages("summer")[0])
    holding.cancel(ledger, batch_id)
    shop.stack.wait(batch_id)
    wait_until(lambda: [text[0] for text in shop.texts("summer")] == ["⚠", "⚠"], 20, "the end")
    start, end = shop.texts("summer")
    assert start == end


def test_a_message_that_somebody_has_deleted_is_let_go(shop: Shop) -> None:
    """The batch goes on, and its summary is said; the start is not tried for ever."""
    batch_id = shop.stack.submit(rows(["cup"]), name="autumn")
    shop.slack.faults.append(Reply(200, {"ok": True, "channel": "C0SHOP", "ts": "1.gone"}))
    shop.stack.start(batch_id)
    shop.stack.wait(batch_id)
    assert shop.texts("autumn") == ["✅ `autumn`: 1/1 succeeded · 0 failed"]
    wait_until(lambda: following.claim_starts(shop.stack.services.ledger, batch_id) == [], 5, "nothing to update")
    assert set(shop.stack.states(batch_id).values()) == {State.PUBLISHED}
    assert summing.sent_message(shop.stack.services.ledger, batch_id) is not None
