"""The endpoint that providers call, through real sockets, behind each server that may serve it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
import redis
from kombu.exceptions import OperationalError

from tasks.core import standard_webhooks
from tasks.core.errors import ConfigurationError, LedgerUnavailable
from tasks.web.receiver import LARGEST_BODY_BYTES
from tests.contract.web.servers import CALLER, OTHERS_SECRET, SIGNING_CALLER, Client, answer_of
from tests.stand_ins.calling import SIGNING_SECRET

LONG_AGO_SECONDS = standard_webhooks.TOLERANCE_SECONDS + 60


def signed(client: Client, body: bytes, *, secret: str = SIGNING_SECRET, age_seconds: int = 0) -> dict[str, str]:
    """The headers of a provider that signs."""
    timestamp = int(client.site.clock().timestamp()) - age_seconds
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": standard_webhooks.sign(secret, "msg_1", timestamp, body),
    }


def test_a_call_is_taken_down_with_what_was_said(client: Client) -> None:
    """The image, its fence and the very bytes of the body are passed on; the answer is an empty 200."""
    body = '{"status": "완료"}'.encode() + bytes(range(256))
    answer = client.call(client.address(), body, {"Content-Type": "application/json"})
    assert (answer.status, answer.body) == (200, b"")
    assert client.books.calls == [(42, 7, body)]


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_no_kind_of_body_is_taken_apart(client: Client, content_type: str) -> None:
    """What looks like a form to a framework is passed on as it came."""
    assert client.call(client.address(), b"a=1&b=2", {"Content-Type": content_type}).status == 200
    assert client.books.calls == [(42, 7, b"a=1&b=2")]


def test_the_same_call_again_is_as_good(client: Client) -> None:
    """Providers call until they hear 200, so a second call hears it too."""
    address = client.address()
    assert [client.call(address).status for _ in range(2)] == [200, 200]


def test_a_body_in_chunks_arrives_whole(client: Client) -> None:
    """A body without a Content-Length is read to its end."""
    assert client.call(client.address(), iter([b"one ", b"two"])).status == 200
    assert client.books.calls == [(42, 7, b"one two")]


def test_a_slow_body_is_waited_for_and_holds_up_nobody(client: Client) -> None:
    """While many bodies drip in, others are answered; then each is taken down whole."""
    slow = [client.connection() for _ in range(40)]
    for connection in slow:
        connection.putrequest("POST", client.address())
        connection.putheader("Content-Length", "5")
        connection.endheaders(b"sl")

    assert client.call(client.address(), b"quick").status == 200

    for connection in slow:
        connection.send(b"ow!")
        assert answer_of(connection).status == 200
        connection.close()
    assert sorted(body for _, _, body in client.books.calls) == [b"quick", *[b"slow!"] * 40]


def test_a_caller_that_hangs_up_in_the_middle_says_nothing(client: Client) -> None:
    """Half a body is not taken for a whole one, and the next call is answered."""
    parts = urlsplit(client.url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0))) as connection:
        connection.sendall(f"POST {client.address()} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf".encode())
    assert client.call(client.address(), b"whole").status == 200
    assert client.books.calls == [(42, 7, b"whole")]


def forgeries(client: Client) -> Iterator[str]:
    """Addresses that we have not given to that provider, or not for so long."""
    yield f"/webhooks/{CALLER}/42.7.9999999999.{'A' * 43}"
    yield f"/webhooks/{CALLER}/nonsense"
    yield f"/webhooks/{CALLER}/%EC%BB%B5%FF%00"
    yield client.address(secret=OTHERS_SECRET)
    yield client.address(signer=SIGNING_CALLER)
    yield client.address(minutes=-1)
    yield client.address().replace("/42.", "/43.")


def test_an_address_that_we_have_not_given_is_turned_away(client: Client) -> None:
    """Forged, another provider's, too old or another image's: 401, without a word, and nothing is looked up."""
    client.books.trouble = LedgerUnavailable("it was asked")
    for address in forgeries(client):
        answer = client.call(address)
        assert (answer.status, answer.body) == (401, b""), address


def test_what_the_path_names_is_not_imported_unless_we_signed_it(client: Client) -> None:
    """A stranger cannot have a module of the installation imported by calling it a provider."""
    assert client.call(f"/webhooks/this:s/{client.address().rpartition('/')[2]}").status == 401
    assert "this" not in sys.modules


@pytest.mark.parametrize("wrong", ["nobody's", "another body's", "old"])
def test_the_providers_own_signature_is_asked_for_too(client: Client, wrong: str) -> None:
    """Where a provider signs, its address alone is not enough, nor is a call that was recorded."""
    address, body = client.address(SIGNING_CALLER), b'{"id": "job-1"}'
    headers = {
        "nobody's": {},
        "another body's": signed(client, b'{"id": "job-2"}'),
        "old": signed(client, body, age_seconds=LONG_AGO_SECONDS),
    }[wrong]
    assert client.call(address, body, headers).status == 401
    assert client.books.calls == []

    assert client.call(address, body, signed(client, body)).status == 200


def test_a_job_that_is_not_known_is_not_found(client: Client) -> None:
    """404, as for a provider that does not call."""
    assert client.call(client.address(image_id=43)).status == 404
    assert client.call(client.address("preview")).status == 404
    assert client.books.calls == [(43, 7, b"{}")]


def test_other_paths_are_closed(client: Client) -> None:
    """There is nothing else for a stranger."""
    for path in ("/webhooks/", f"/webhooks/{CALLER}", f"{client.address()}/more", "/", "/nothing"):
        assert client.call(path).status in {401, 403}, path
    assert client.books.calls == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post_is_a_call(client: Client, method: str) -> None:
    """A crawler that comes upon an address changes nothing, and hears what it should have done."""
    answer = client.call(client.address(), method=method)
    assert answer.status == 405
    assert "POST" in answer.headers["allow"]
    assert client.books.calls == []


def test_the_largest_body_is_taken(client: Client) -> None:
    """The cap itself is still allowed."""
    body = b"x" * LARGEST_BODY_BYTES
    assert client.call(client.address(), body).status == 200
    assert client.books.calls == [(42, 7, body)]


def test_a_larger_body_is_refused(client: Client) -> None:
    """With or without a Content-Length the answer is 413, and nothing is taken down."""
    blocks = [b"x" * 50_000] * 20 + [b"x"]
    for body in (b"".join(blocks), iter(blocks)):
        # Hung up on while we still send is refused, too.
        with suppress(BrokenPipeError, ConnectionResetError):
            assert client.call(client.address(), body).status == 413
    assert client.books.calls == []


@pytest.mark.parametrize("client", ["imagechord"], indirect=True)
def test_a_body_that_says_it_is_too_large_is_not_waited_for(client: Client) -> None:
    """Our own server refuses it by its Content-Length; others collect a body before they ask us."""
    connection = client.connection()
    connection.putrequest("POST", client.address())
    connection.putheader("Content-Length", str(LARGEST_BODY_BYTES + 1))
    connection.endheaders()
    assert answer_of(connection).status == 413
    connection.close()


@pytest.mark.parametrize(
    "trouble",
    [
        LedgerUnavailable("database is locked at /var/lib"),
        redis.ConnectionError("Error 111 connecting to redis.internal"),
        OperationalError("redis.internal"),
        ConnectionRefusedError("redis.internal"),
        ConfigurationError("the ledger's schema is missing"),
    ],
)
def test_trouble_of_ours_asks_the_provider_to_call_again(client: Client, trouble: Exception) -> None:
    """Ledger or broker away: 503 with Retry-After and not a word about what is wrong; when it is back, 200."""
    address = client.address()
    client.books.trouble = trouble
    answer = client.call(address)
    assert (answer.status, answer.headers["retry-after"], answer.body) == (503, "10", b"")

    client.books.trouble = None
    assert client.call(address).status == 200


def test_a_provider_that_cannot_be_made_asks_to_call_again(client: Client) -> None:
    """Its package is missing here: that is our mistake, and its picture is paid for."""
    assert client.call(client.address("nowhere.to.be:Found")).status == 503


def test_many_at_once_are_all_taken_down(client: Client) -> None:
    """Providers finish in bursts."""
    client.books.known = set(range(200))
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: client.call(client.address(image_id=n)).status, range(200)))
    assert answers == [200] * 200
    assert {image_id for image_id, _, _ in client.books.calls} == set(range(200))
