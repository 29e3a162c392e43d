"""Events reach a real receiver: signed, in order, and only where they may go."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import Account, ConfigurationError, NotSent, Overloaded, RateLimited, StepError
from tasks.core.events import Event
from tasks.delivery.webhooks import Gone, Webhooks
from tests.stand_ins.certificates import server_tls
from tests.stand_ins.http_server import Reply, Request
from tests.stand_ins.webhook_receiver import SECRET, WebhookReceiver

LEDGER = "0b9d6f0e-3f8e-4b43-9a53-5b1f1f6f0d11"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
_PLAIN = "a plain secret of ours"


def of_image(id_: int, image: int, state: str = "published") -> Event:
    """Something that happened to an image."""
    names = ("model", "public_url", "error_class", "error_step", "error_message")
    details: dict[str, Any] = {**dict.fromkeys(names), "cost_usd_micros": 0}
    return Event(id_, "b-1", f"image.{state}", NOW, details, image_id=image, key=f"SKU-{image}", variant=1)


def of_batch(id_: int, type_: str) -> Event:
    """Something that happened to a batch."""
    details = {"name": "n", "round": 1, "total": 1, "counts": {}, "skipped": 0, "spent_usd_micros": 0, "problems": []}
    return Event(id_, "b-1", type_, NOW, details)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """A shop's webhook on this machine."""
    with WebhookReceiver() as running:
        yield running


@pytest.fixture
def webhooks() -> Webhooks:
    """What a worker tells them with, where private addresses are allowed."""
    return Webhooks(SECRET, LEDGER, allow_private=True)


def test_an_event_is_believed_by_the_official_library(receiver: WebhookReceiver, webhooks: Webhooks) -> None:
    """With its stable name, as JSON; and told again it has the same name."""
    for _ in range(2):
        assert webhooks.tell(receiver.webhook_url, [of_image(7, 3)], 10.0) == {7: None}
    first, second = receiver.told
    assert first == second
    assert first.id == "evt_0b9d6f0e3f8e4b439a535b1f1f6f0d11_7"
    assert (first.type, first.data["sku"]) == ("image.published", "SKU-3")
    assert receiver.requests[0].headers["content-type"] == "application/json"


def test_a_secret_may_be_plain_text() -> None:
    """Its bytes are the key then, as the library takes them in base64."""
    with WebhookReceiver(_PLAIN.encode()) as receiver:
        outcome = Webhooks(_PLAIN, LEDGER, allow_private=True).tell(receiver.webhook_url, [of_image(1, 1)], 10.0)
    assert outcome == {1: None}
    assert len(receiver.told) == 1


def test_another_secret_is_not_believed(receiver: WebhookReceiver) -> None:
    """The receiver refuses, and that is a failure like any."""
    outcome = Webhooks(secrets.token_hex(), LEDGER, allow_private=True).tell(
        receiver.webhook_url, [of_image(1, 1)], 10.0
    )
    assert isinstance(outcome[1], Account)
    assert receiver.told == []


def test_a_secret_that_cannot_be_one_is_refused() -> None:
    """Before anything is told."""
    with pytest.raises(ConfigurationError):
        Webhooks("whsec_!", LEDGER, allow_private=True)


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        (Reply(302, headers={"Location": "/webhooks/images"}), Account, "answered 302"),
        (Reply(401, "secret page"), Account, "answered 401"),
        (Reply(410), Gone, "answered 410: it wants no more"),
        (Reply(429, headers={"Retry-After": "7"}), RateLimited, "answered 429"),
        (Reply(503, headers={"Retry-After": "7"}), Overloaded, "answered 503"),
        (Reply(disconnect=True), Overloaded, "dropped the connection"),
        (Reply(200, b"slow", drip_seconds=0.3), Overloaded, "did not answer within 0.5 s"),
        (Reply(200, delay_seconds=5), Overloaded, "did not answer within 0.5 s"),
    ],
)
def test_everything_but_success_is_a_failure(
    receiver: WebhookReceiver, reply: Reply, kind: type[StepError], says: str
) -> None:
    """Told once, by one request; redirects are not followed, and what it says is not repeated."""
    receiver.reply = reply
    hasty = Webhooks(SECRET, LEDGER, allow_private=True, total_seconds=0.5)
    error = hasty.tell(receiver.webhook_url, [of_image(1, 1)], 10.0)[1]
    assert type(error) is kind
    assert says in str(error)
    assert "secret page" not in str(error)
    assert error.retry_after_seconds == (7 if "Retry-After" in reply.headers else None)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_success(receiver: WebhookReceiver, webhooks: Webhooks, status: int) -> None:
    """Whatever it says besides."""
    receiver.reply = Reply(status, b"" if status == 204 else b"\xff" * 5000)
    assert webhooks.tell(receiver.webhook_url, [of_image(1, 1)], 10.0) == {1: None}


def test_nobody_listens(webhooks: Webhooks) -> None:
    """A receiver that is down is not an error of ours."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    outcome = webhooks.tell(f"http://127.0.0.1:{port}/", [of_image(1, 1)], 10.0)
    assert isinstance(outcome[1], NotSent)


def test_a_name_that_leads_nowhere(webhooks: Webhooks) -> None:
    """So is one that cannot be looked up."""
    outcome = webhooks.tell("https://nowhere.invalid/", [of_image(1, 1)], 10.0)
    assert isinstance(outcome[1], NotSent)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
def test_this_machine_is_not_told(receiver: WebhookReceiver, host: str) -> None:
    """However the address is written, unless the preference allows it."""
    port = receiver.url.rpartition(":")[2]
    strict = Webhooks(SECRET, LEDGER, allow_private=False)
    for scheme in ("http", "https"):
        error = strict.tell(f"{scheme}://{host}:{port}/", [of_image(1, 1)], 10.0)[1]
        assert type(error) is Account
        assert "may not be told" in str(error)
    assert receiver.requests == []


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name lead to these addresses; returns the names that are looked up."""
    asked: list[str] = []
    real: Callable[..., Any] = socket.getaddrinfo

    def look_up(host: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        if host[0].isdigit() or ":" in host:
            return list(real(host, port, *rest, **more))
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def test_one_bad_address_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to a public and a private address is not told."""
    resolve(monkeypatch, "93.184.216.34", "10.0.0.7")
    outcome = Webhooks(SECRET, LEDGER, allow_private=False).tell("https://shop.example.com/", [of_image(1, 1)], 10.0)
    assert "shop.example.com leads to 10.0.0.7" in str(outcome[1])


def test_the_address_that_was_judged_is_told(
    receiver: WebhookReceiver, webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look-up; the next address is tried when the first does not answer; the server hears the name."""
    asked = resolve(monkeypatch, "::1", "127.0.0.1")
    port = receiver.url.rpartition(":")[2]
    assert webhooks.tell(f"http://shop.example.com:{port}/", [of_image(1, 1)], 10.0) == {1: None}
    assert asked == ["shop.example.com"]
    assert receiver.requests[0].headers["Host"] == f"shop.example.com:{port}"


def test_proxies_and_netrc_are_left_aside(
    receiver: WebhookReceiver, webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A proxy would look the name up again, and nobody's password goes to a webhook."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert webhooks.tell(receiver.webhook_url, [of_image(1, 1)], 10.0) == {1: None}
    assert "Authorization" not in receiver.requests[0].headers


def test_certificates_are_checked(receiver: WebhookReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that nobody vouches for is not told; one of SSL_CERT_FILE is."""
    tls, certificate = server_tls(tmp_path)
    receiver._server.socket = tls.wrap_socket(receiver._server.socket, server_side=True)
    url = receiver.webhook_url.replace("http:", "https:")
    outcome = Webhooks(SECRET, LEDGER, allow_private=True).tell(url, [of_image(1, 1)], 10.0)
    assert "no trusted TLS connection" in str(outcome[1])
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert Webhooks(SECRET, LEDGER, allow_private=True).tell(url, [of_image(1, 1)], 10.0) == {1: None}


class Hesitant(WebhookReceiver):
    """Takes its time before it takes a ``generated``: what is told at the same time overtakes it."""

    def reply_to(self, request: Request) -> Reply:
        """Wait first, then answer."""
        self.pause(0.1 if b"image.generated" in request.body else 0.0)
        return super().reply_to(request)


def test_the_order_of_what_happened_is_kept(webhooks: Webhooks) -> None:
    """Of each image, and around what happened to the batch itself, however slow the receiver is."""
    states = ("generated", "uploaded", "published")
    happened = [of_image(10 * image + n, image, state) for image in range(1, 9) for n, state in enumerate(states)]
    with Hesitant() as receiver:
        page = [of_batch(1, "batch.started"), *happened, of_batch(99, "batch.finished")]
        outcome = webhooks.tell(receiver.webhook_url, page, 20.0)
    assert set(outcome.values()) == {None}
    assert len(outcome) == 26
    assert list(receiver.of_images().values()) == [list(states)] * 8
    assert receiver.told[0].type == "batch.started"
    assert receiver.told[-1].type == "batch.finished"


class Slow(WebhookReceiver):
    """Each connection waits until ``at_once`` of them do."""

    def __init__(self, at_once: int) -> None:
        super().__init__()
        self.barrier = threading.Barrier(at_once)

    def reply_to(self, request: Request) -> Reply:
        """Answer when enough have asked. Raises BrokenBarrierError when they do not come."""
        self.barrier.wait(10)
        return super().reply_to(request)


def test_several_images_are_told_at_the_same_time() -> None:
    """A slow receiver does not make a batch of thousands a matter of hours."""
    with Slow(at_once=8) as receiver:
        page = [of_image(n, n) for n in range(1, 17)]
        outcome = Webhooks(SECRET, LEDGER, allow_private=True).tell(receiver.webhook_url, page, 20.0)
    assert outcome == dict.fromkeys(range(1, 17))


def test_after_a_failure_no_other_is_begun(receiver: WebhookReceiver, webhooks: Webhooks) -> None:
    """What an image was told stays in order, and a receiver that is down is not asked about each of thousands."""
    receiver.held[("image.generated", "SKU-1")] = Reply(500)
    page = [of_image(1, 1, "generated"), of_image(2, 1, "published"), *(of_image(n, n) for n in range(100, 200))]
    outcome = webhooks.tell(receiver.webhook_url, [*page, of_batch(999, "batch.finished")], 20.0)
    assert isinstance(outcome[1], Overloaded)
    assert 2 not in outcome
    assert 999 not in outcome


def test_when_the_time_is_over_no_other_is_begun(receiver: WebhookReceiver, webhooks: Webhooks) -> None:
    """A slow receiver must not let the sender's lease run out."""
    assert webhooks.tell(receiver.webhook_url, [of_image(1, 1)], -1.0) == {}
    assert receiver.requests == []


def test_a_mistake_of_ours_is_a_failure_too(receiver: WebhookReceiver, webhooks: Webhooks) -> None:
    """An event that cannot be worded must not be tried for ever, nor stop the others."""
    wordless = Event(1, "b-1", "image.published", NOW, {}, image_id=1, key="SKU-1", variant=1)
    outcome = webhooks.tell(receiver.webhook_url, [wordless], 10.0)
    assert "unexpected KeyError" in str(outcome[1])
