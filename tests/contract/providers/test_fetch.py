"""Fetching what a provider's URL names, from real servers over real sockets."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import Account, Ambiguous, BadBytes, StepError
from tasks.providers.fetch import fetch_picture
from tests.stand_ins.certificates import certificate_for
from tests.stand_ins.http_server import Reply, Request, StandIn

PICTURE = bytes(range(256)) * 64
SIGNED = "/a%20b/p.png?sig=very-secret&x=%EA%B0%80"


class Pictures(StandIn):
    """A server that answers every GET with ``reply``."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply

    def answer(self, request: Request) -> Reply:
        """What the test has set."""
        return self.reply

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])


@pytest.fixture
def server() -> Iterator[Pictures]:
    """A picture server on this machine."""
    with Pictures(Reply(200, PICTURE)) as running:
        yield running


def fetch(url: str, *, allow_private: bool = True, max_bytes: int = 1 << 20, deadline_seconds: float = 10.0) -> bytes:
    """Fetch with the limits of a test."""
    return fetch_picture(url, allow_private=allow_private, max_bytes=max_bytes, deadline_seconds=deadline_seconds)


def failure(expected: type[StepError], url: str, **options: Any) -> str:
    """What the error says; never what stands behind the host."""
    with pytest.raises(StepError) as caught:
        fetch(url, **options)
    assert type(caught.value) is expected, caught.value
    assert "very-secret" not in str(caught.value)
    return str(caught.value)


def test_the_bytes_come(server: Pictures) -> None:
    """Path and query reach the server as they were signed, and the body comes back."""
    assert fetch(server.url + SIGNED) == PICTURE
    assert server.requests[0].path == SIGNED
    assert server.requests[0].headers["Host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]"])
def test_this_machine_is_not_asked(server: Pictures, host: str) -> None:
    """However the address is written, nothing is sent, and the setting that would allow it is named."""
    for scheme in ("http", "https"):
        told = failure(Account, f"{scheme}://{host}:{server.port}{SIGNED}", allow_private=False)
        assert "allow_private_provider_urls" in told
    assert server.requests == []


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "0.0.0.0", "[::]", "224.0.0.1"])
def test_a_clouds_metadata_is_never_asked(host: str) -> None:
    """Not even where private addresses are allowed."""
    assert "no public address" in failure(Account, f"http://{host}/latest/meta-data/")


@pytest.mark.parametrize(
    "url",
    [
        *("http://93.184.216.34/p.png", "file:///etc/passwd", "ftp://93.184.216.34/x", "//93.184.216.34/x", ""),
        *("https://user:very-secret@93.184.216.34/", "https:///p.png", "https://[::1/p.png", "https://h:port/p.png"),
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """Plain HTTP to the internet, files, users with passwords, and what is no URL."""
    failure(Account, url, allow_private=False)


def test_one_bad_address_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to a public and a private address is refused whole: which one would be asked is luck."""
    resolve(monkeypatch, ["93.184.216.34", "10.0.0.7"])
    assert "10.0.0.7" in failure(Account, "https://pictures.example/p.png", allow_private=False)


def test_the_name_is_looked_up_once(server: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that was checked is the one that is asked, and the server hears the name."""
    lookups = resolve(monkeypatch, ["127.0.0.1"])
    assert fetch(f"http://pictures.example:{server.port}/p.png") == PICTURE
    assert lookups == ["pictures.example"]
    assert server.requests[0].headers["Host"] == f"pictures.example:{server.port}"


def test_the_next_address_is_tried(server: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several good addresses one that does not answer is no failure."""
    resolve(monkeypatch, ["::1", "127.0.0.1"])
    assert fetch(f"http://pictures.example:{server.port}/p.png") == PICTURE


def resolve(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> list[str]:
    """Let every name lead to these addresses, in this order; returns the names that are looked up."""
    lookups: list[str] = []

    def look_up(host: str, port: int, *_: object, **__: object) -> list[Any]:
        lookups.append(host)
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in zip(families, addresses, strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return lookups


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: Pictures, status: int) -> None:
    """It could lead anywhere; nobody asks there."""
    with Pictures(Reply(200, PICTURE)) as elsewhere:
        server.reply = Reply(status, headers={"Location": elsewhere.url})
        assert "redirects" in failure(Account, server.url + SIGNED)
        assert elsewhere.requests == []


@pytest.mark.parametrize("status", [204, 206, 403, 404, 410, 429, 500, 503])
def test_any_other_answer_leaves_the_picture_unknown(server: Pictures, status: int) -> None:
    """The picture was paid for and is not here: it counts as spent."""
    server.reply = Reply(status)
    assert str(status) in failure(Ambiguous, server.url + SIGNED)


def test_too_long_by_its_own_word(server: Pictures) -> None:
    """A length that is too much is refused before the body is read."""
    server.reply = Reply(200, b"x", headers={"Content-Length": str(3 << 30)})
    assert "3,221,225,472" in failure(BadBytes, server.url + SIGNED, max_bytes=len(PICTURE))


def test_too_long_without_a_word(server: Pictures) -> None:
    """A body without a length is read as far as the cap, and one of just that length is fine."""
    server.reply = Reply(200, PICTURE, headers={"Content-Length": "", "Connection": "close"})
    failure(BadBytes, server.url + SIGNED, max_bytes=len(PICTURE) - 1)


def test_the_cap_itself_is_allowed(server: Pictures) -> None:
    """As many bytes as are taken at most are taken."""
    assert fetch(server.url, max_bytes=len(PICTURE)) == PICTURE


def test_a_body_that_ends_early(server: Pictures) -> None:
    """Fewer bytes than were promised are not a picture."""
    server.reply = Reply(200, PICTURE, headers={"Content-Length": str(len(PICTURE) + 1), "Connection": "close"})
    assert "cut short" in failure(BadBytes, server.url + SIGNED)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, PICTURE, delay_seconds=30),
        Reply(200, PICTURE, drip_seconds=0.05),
        Reply(200, PICTURE, headers={"Content-Length": "", "Connection": "close"}, drip_seconds=0.05),
    ],
    ids=["silent", "dripping", "dripping without a length"],
)
def test_the_deadline_is_for_the_whole(server: Pictures, reply: Reply) -> None:
    """A server that is silent, or sends a byte now and then, holds nobody for longer."""
    server.reply = reply
    begun = time.monotonic()
    assert "within 0.5 s" in failure(Ambiguous, server.url + SIGNED, deadline_seconds=0.5)
    assert time.monotonic() - begun < 10


def test_nobody_there(server: Pictures) -> None:
    """A refused connection, a dropped one, and a name that nobody has are all the same: the picture is away."""
    failure(Ambiguous, "http://127.0.0.1:9/p.png?sig=very-secret")
    failure(Ambiguous, "http://nowhere.invalid/p.png?sig=very-secret")
    server.reply = Reply(disconnect=True)
    failure(Ambiguous, server.url + SIGNED)
    failure(Ambiguous, server.url + SIGNED, deadline_seconds=0.0)


@pytest.fixture
def secure(server: Pictures, tmp_path: Path) -> Callable[[str], Path]:
    """Make the server speak TLS with a certificate for a name; gives the file that vouches for it."""

    def speak(name: str) -> Path:
        made = certificate_for(name, tmp_path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made)
        server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
        return made

    return speak


def test_https_with_a_certificate_that_is_vouched_for(
    server: Pictures, secure: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is that of the name in the URL, although the connection went to an address."""
    monkeypatch.setenv("SSL_CERT_FILE", str(secure("pictures.example")))
    resolve(monkeypatch, ["127.0.0.1"])
    assert fetch(f"https://pictures.example:{server.port}/p.png") == PICTURE
    assert server.requests[0].headers["Host"] == f"pictures.example:{server.port}"
    assert "certificate" in failure(Account, f"https://other.example:{server.port}{SIGNED}")


def test_https_with_a_certificate_of_nobody(server: Pictures, secure: Callable[[str], Path]) -> None:
    """A certificate that nobody vouches for is a matter for a person."""
    secure("localhost")
    assert "SSL_CERT_FILE" in failure(Account, f"https://localhost:{server.port}{SIGNED}")
    assert server.requests == []
