"""Fetching a picture from a URL that a provider's answer names. The URL is a stranger's; the picture is paid for.

A plain HTTP client would go wherever the URL leads: to this machine, into the private network, to the cloud's
own metadata. So the name is looked up once, every address of it must be public, and the connection goes to one of
just these. Always directly, never through a proxy: it would look the name up again.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH, requote_uri

from tasks.core.addresses import is_private, is_public
from tasks.core.errors import Account, Ambiguous, BadBytes, StepError

_CONNECT_SECONDS = 10.0
_CHUNK_BYTES = 64 * 1024
PAID_FOR = "the picture was made and "
"""How messages begin: who reads of the failure is to know that there is a picture."""

_ALLOW = "for a server of your own set allow_private_provider_urls = true in imagechord.toml"

_Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


def fetch_picture(url: str, *, allow_private: bool, max_bytes: int, deadline_seconds: float) -> bytes:
    """The body behind ``url``, at most ``max_bytes`` of it, not yet looked at.

    ``allow_private`` also allows ``http://`` and addresses of this machine and of private networks. Redirects are
    not followed. Looking a name up has the system's own time limit; everything else ends at the deadline.

    Raises Account for a URL that may not be fetched: every other picture of this provider would meet the same;
    BadBytes for a body that is too long or cut short; Ambiguous for everything else that keeps the picture away.
    No message holds more of the URL than its host: what follows is often a signature that lets anybody in.
    """
    until = time.monotonic() + deadline_seconds
    target = _target(url, allow_private=allow_private)
    addresses = _checked_addresses(target, allow_private=allow_private)
    try:
        with _connected(target, addresses, until) as sock, _answer(target, sock) as response:
            return _body(response, target, max_bytes, until)
    except ssl.SSLCertVerificationError as error:
        reason = f"the certificate of {target.host} cannot be trusted ({error.verify_message}); set SSL_CERT_FILE"
        raise Account(f"{PAID_FOR}cannot be fetched: {reason}") from error
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        if time.monotonic() >= until:
            raise _away(target, f"it did not come within {deadline_seconds:g} s") from error
        raise _away(target, f"the connection failed ({type(error).__name__})") from error


@dataclass(frozen=True, slots=True)
class _Target:
    secure: bool
    host: str
    port: int
    path: str


def _target(url: str, *, allow_private: bool) -> _Target:
    """The parts of a URL that may be fetched. Raises Account."""
    try:
        parts = urlsplit(requote_uri(url))
        port = parts.port
    except ValueError as error:  # also requests' InvalidURL
        raise _refused("its URL cannot be read") from error
    if parts.scheme not in ({"https", "http"} if allow_private else {"https"}):
        raise _refused(f"its URL begins with {parts.scheme[:10]!r}, not https; {_ALLOW}")
    if not parts.hostname or parts.username is not None or not url.isprintable():
        raise _refused("its URL names no host, or a user")
    secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(secure, parts.hostname, port or (443 if secure else 80), path)


def _checked_addresses(target: _Target, *, allow_private: bool) -> list[_Address]:
    """All addresses of the host. Raises Account when one of them may not be asked, Ambiguous when there is none."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _away(target, "its name cannot be looked up") from error
    for *_, where_to in found:
        text = str(where_to[0])
        if not (is_public(text) or (allow_private and is_private(text))):
            raise _refused(f"{target.host} leads to {text}, which is no public address; {_ALLOW}")
    return [(family, where_to) for family, _type, _protocol, _name, where_to in found]


@contextmanager
def _connected(target: _Target, addresses: list[_Address], until: float) -> Iterator[socket.socket]:
    """A connection to one of these addresses, cut at the deadline. Raises OSError."""
    plain = _first_open(addresses, until)
    # A server that drips one byte at a time never lets a socket's own time-out pass.
    cutting = threading.Timer(max(until - time.monotonic(), 0.0), lambda: _cut(sock))
    sock = plain
    try:
        if target.secure:
            trusted = _trusting(os.environ.get("SSL_CERT_FILE"))
            sock = trusted.wrap_socket(plain, server_hostname=target.host, do_handshake_on_connect=False)
        cutting.daemon = True
        cutting.start()
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        yield sock
    finally:
        cutting.cancel()
        sock.close()


def _first_open(addresses: list[_Address], until: float) -> socket.socket:
    """A socket that is connected to the first address that answers. Raises OSError."""
    trouble: OSError = TimeoutError()
    for family, where_to in addresses:
        left = until - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(min(_CONNECT_SECONDS, left))
            sock.connect(where_to)
            sock.settimeout(max(until - time.monotonic(), 0.001))
        except OSError as error:
            trouble = error
            sock.close()
        else:
            return sock
    raise trouble


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own, which is not for two threads at once


@lru_cache(maxsize=2)
def _trusting(_file: str | None) -> ssl.SSLContext:
    """The system's certificate authorities, or those of SSL_CERT_FILE, and those that come with requests."""
    context = ssl.create_default_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context


def _answer(target: _Target, sock: socket.socket) -> http.client.HTTPResponse:
    """Ask for the picture."""
    kind = http.client.HTTPSConnection if target.secure else http.client.HTTPConnection
    connection = kind(target.host, target.port)
    connection.sock = sock
    connection.request("GET", target.path, headers={"User-Agent": "imagechord", "Connection": "close"})
    return connection.getresponse()


def _body(response: http.client.HTTPResponse, target: _Target, max_bytes: int, until: float) -> bytes:
    """All of the body.

    Raises Account for a redirect, Ambiguous for anything but 200; BadBytes when it is too long, by what was declared
    or by what comes, or too short; TimeoutError when it was cut at the deadline.
    """
    if 300 <= response.status < 400:
        raise _refused(f"{target.host} redirects, which is not followed")
    if response.status != http.HTTPStatus.OK:
        raise _away(target, f"it answered {response.status}")
    promised = response.length
    if promised is not None and promised > max_bytes:
        raise BadBytes(f"{target.host} sends {promised:,} bytes; at most {max_bytes:,} are taken")
    data = bytearray()
    while chunk := response.read1(_CHUNK_BYTES):
        data += chunk
        if len(data) > max_bytes:
            raise BadBytes(f"{target.host} sends more than {max_bytes:,} bytes, which are the most that are taken")
    if len(data) == promised:
        return bytes(data)
    if time.monotonic() >= until:
        raise TimeoutError
    if promised is not None:
        raise BadBytes(f"the picture from {target.host} is cut short: {len(data):,} of {promised:,} bytes came")
    return bytes(data)


def _refused(reason: str) -> StepError:
    return Account(f"{PAID_FOR}may not be fetched: {reason}")


def _away(target: _Target, reason: str) -> StepError:
    return Ambiguous(f"{PAID_FOR}could not be fetched from {target.host}: {reason}")
