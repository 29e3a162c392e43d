"""``--webhook``: refused before anything starts, or told to the end."""

from __future__ import annotations

import pytest

from tests.integration.cli.shop import ARTICLE, Shop
from tests.stand_ins.http_server import Reply
from tests.stand_ins.webhook_receiver import SECRET, WebhookReceiver

RUN = ("run", "products.csv", "-t", "product", "-m", "preview")
ALLOWED = "allow_private_webhook_urls = true\n"


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """With three rows, a secret, and leave to tell this machine."""
    shop.write("products.csv", ARTICLE)
    shop.write("config/imagechord.toml", f'language = "en"\n{ALLOWED}')
    shop.environment["WEBHOOK_SECRET"] = SECRET
    return shop


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("url", "secret", "says"),
    [
        ("https://shop.example.com/hook", "", "set WEBHOOK_SECRET"),
        ("https://shop.example.com/hook", "whsec_!!!", "goes on in no base64"),
        ("shop.example.com/hook", SECRET, "is not a URL"),
        ("http://93.184.216.34/hook", SECRET, "may not be told"),
    ],
)
def test_a_webhook_that_cannot_be_told_is_refused(shop: Shop, command: str, url: str, secret: str, says: str) -> None:
    """Before there is a ledger."""
    shop.environment["WEBHOOK_SECRET"] = secret
    ran = shop.call(command, *RUN[1:], "--webhook", url)
    assert ran.returncode == 2, ran.stderr
    assert says in " ".join(ran.stderr.split())
    assert not (shop.folder / ".imagechord").exists()


def test_run_ends_when_everything_is_told(shop: Shop) -> None:
    """Its worker goes with it: nothing would be told later."""
    with WebhookReceiver() as receiver:
        ran = shop.call(*RUN, "--webhook", receiver.webhook_url)
    assert ran.returncode == 0, ran.stderr
    states = ["generated", "uploaded", "published"]
    assert list(receiver.of_images().values()) == [states] * 3
    assert receiver.of_batches() == ["batch.started", "batch.finished"]
    (status,) = [shop.json("status")["webhook"]]
    assert status == {"untold": 0, "error": None, "gave_up": False}


def test_a_webhook_may_be_named_later(shop: Shop) -> None:
    """The same rows with a webhook: their batch tells it from then on, also one that waits for somebody."""
    held = (*RUN, "--hold-publish")
    assert shop.call(*held).returncode == 3
    with WebhookReceiver() as receiver:
        assert shop.call(*held, "--webhook", receiver.webhook_url).returncode == 3
        published = shop.call("publish")
    assert published.returncode == 0, published.stderr
    assert list(receiver.of_images().values()) == [["uploaded", "published"]] * 3
    assert receiver.of_batches()[-1] == "batch.finished"


def test_run_does_not_wait_for_a_dead_webhook(shop: Shop) -> None:
    """Everything is published, and what was not told is said."""
    with WebhookReceiver() as receiver:
        receiver.reply = Reply(503)
        ran = shop.call(*RUN, "--webhook", receiver.webhook_url)
    assert ran.returncode == 0, ran.stderr
    assert "webhook: 11 events not told, tried again: the webhook answered 503" in " ".join(ran.stderr.split())
    assert "11 events not told" in shop.call("status").stdout
    assert receiver.told == []
