"""``imagechord web`` as a person starts and stops it."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from tests.integration.cli.shop import Shop

TOKEN = {"IMAGECHORD_WEB_TOKEN": "the-token-of-this-site"}
BROKER = {"IMAGECHORD_REDIS_URL": "redis://127.0.0.1:1/0", **TOKEN}
WEBHOOKS = {"WEBHOOK_BASE_URL": "https://shop.example/hooks", "WEBHOOK_SECRET": "a-secret-of-the-shop's-own"}


@contextmanager
def serving(shop: Shop, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, once it listens, and where."""
    with shop.start("web", "--port", "0", *options) as process:
        assert process.stdout
        line = process.stdout.readline()
        try:
            assert "listens on" in line, process.communicate(timeout=10)
            yield process, line.split()[-1]
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(shop: Shop, number: signal.Signals) -> None:
    """It says where it listens and what providers are told; broker and ledger may come later. Ends with exit 0."""
    shop.environment |= BROKER | WEBHOOKS
    with serving(shop) as (process, url):
        assert process.stdout
        assert process.stdout.readline() == "webhooks: providers call https://shop.example/hooks/webhooks/\n"
        assert requests.get(f"{url}/healthz", timeout=10).text == "ok\n"
        assert requests.post(f"{url}/webhooks/fal/42.7.1.forged", timeout=10).status_code == 401
        assert url.startswith("http://127.0.0.1:")

        process.send_signal(number)

        assert process.wait(20) == 0
        assert process.stderr
        words = process.stderr.read()
    assert "a webhook for 'fal' is turned away: not a token of ours" in words
    assert "42.7.1.forged" not in words
    assert "Traceback" not in words


def test_without_webhooks_it_serves_all_the_same(shop: Shop) -> None:
    """Providers are asked then, and it says so."""
    shop.environment |= BROKER
    with serving(shop) as (process, url):
        assert process.stdout
        assert process.stdout.readline() == "webhooks: WEBHOOK_BASE_URL is not set, so providers are asked instead\n"
        assert requests.post(f"{url}/webhooks/fal/42.7.1.forged", timeout=10).status_code == 401


def test_what_is_missing_is_said_at_once(shop: Shop) -> None:
    """No broker, no secret, a taken port: exit 2 and a sentence with the mend."""

    def refusal(**variables: str) -> str:
        shop.environment |= variables
        ran = shop.call("web", "--port", str(port))
        assert ran.returncode == 2, ran.stderr
        return " ".join(ran.stderr.split())

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "IMAGECHORD_WEB_TOKEN has to be set" in refusal()
        assert "IMAGECHORD_REDIS_URL" in refusal(**TOKEN)
        assert "WEBHOOK_SECRET" in refusal(**BROKER, WEBHOOK_BASE_URL="https://shop.example")
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in refusal(**WEBHOOKS)


def test_without_waitress_it_says_what_to_install(shop: Shop) -> None:
    """The server is an extra: the rest of imagechord goes without."""
    shop.write("hidden/waitress.py", "raise ModuleNotFoundError(__name__)")
    shop.environment |= BROKER
    shop.environment["PYTHONPATH"] = f"{shop.folder / 'hidden'}:{shop.environment['PYTHONPATH']}"

    ran = shop.call("web")

    assert ran.returncode == 2
    assert "install imagechord[web]" in ran.stderr
