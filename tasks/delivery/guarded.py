"""Connections to addresses that strangers chose: the name is looked up once, and every address of it is judged.

A webhook's URL comes from whoever can submit a batch. A plain client would go wherever it leads: to this machine, into
the private network, to the cloud's own metadata. Always directly, never through a proxy: it would look the name up
again.
"""

from __future__ import annotations

import os
import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from tasks.core.errors import Account
from tasks.core.events import may_be_told
from tasks.http_calls import HttpCaller


class GuardedCaller(HttpCaller):
    """Connects only where :func:`tasks.core.events.may_be_told` allows it; elsewhere a call raises Account.

    It knows no proxy and no ``~/.netrc``. Certificates are checked by SSL_CERT_FILE where that is set.
    """

    def __init__(self, service: str, variable: str, *, allow_private: bool, total_seconds: float) -> None:
        super().__init__(service, variable, total_seconds=total_seconds)
        self._pools = _pools(allow_private)

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = os.environ.get("SSL_CERT_FILE") or True
        adapter = HTTPAdapter()
        adapter.poolmanager.pool_classes_by_scheme = self._pools
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session


def _pools(allow_private: bool) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, secure=False, allow_private=allow_private)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, secure=True, allow_private=allow_private)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _connected(connection: HTTPConnection, *, secure: bool, allow_private: bool) -> socket.socket:
    """A socket that is connected to one of the host's addresses. Raises urllib3's errors, as it does itself."""
    trouble: OSError | None = None
    for address in _addresses(connection, secure=secure, allow_private=allow_private):
        try:
            options: Any = connection.socket_options
            return create_connection((address, connection.port), connection.timeout, socket_options=options)
        except OSError as error:
            trouble = error
    if isinstance(trouble, TimeoutError):
        raise ConnectTimeoutError(connection, f"no connection within {connection.timeout} s") from trouble
    raise NewConnectionError(connection, f"no connection: {trouble}") from trouble


def _addresses(connection: HTTPConnection, *, secure: bool, allow_private: bool) -> list[str]:
    """All addresses of the host. Raises Account when one of them may not be told."""
    host = connection.host
    try:
        found = socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NameResolutionError(host, connection, error) from error
    addresses = [str(where_to[0]) for *_, where_to in found]
    for address in addresses:
        if not may_be_told(address, secure=secure, allow_private=allow_private):
            raise Account(f"the webhook's host {host} leads to {address}, which may not be told")
    return addresses
