"""The server behind ``imagechord web``: waitress, of the extra ``web``."""

from __future__ import annotations

from copy import copy
from typing import Any

from tasks.core.errors import ConfigurationError
from tasks.web.receiver import LARGEST_BODY_BYTES
from tasks.web.uploads import ADDRESS, LARGEST_BYTES
from tasks.web.wsgi import Application

_THREADS = 16
"""More than processors: on SQLite those that write at the same time share one wait for the disk."""

_LIMITS = {
    "max_request_body_size": LARGEST_BYTES + 1,
    "max_request_header_size": 65_536,
    # A request is collected before it costs a thread: slow senders hold but sockets, and of these there are many.
    "connection_limit": 1000,
    "channel_timeout": 30,
    "asyncore_use_poll": True,  # select() ends at 1024 sockets
}


def open_server(application: Application, host: str, port: int) -> Any:
    """A waitress server that listens already; ``run()`` serves until KeyboardInterrupt, ``addresses`` tells its URLs.

    Port 0 takes a free one. Raises ConfigurationError without waitress, or when it cannot listen there.
    """
    try:
        import waitress
    except ImportError as error:
        raise ConfigurationError("imagechord web needs waitress; install imagechord[web]") from error
    sockets: dict[int, Any] = {}
    try:
        server = waitress.create_server(
            application, host=host, port=port, threads=_THREADS, ident="imagechord", map=sockets, **_LIMITS
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {reason}; choose another --host or --port"
        ) from error
    _take_large_bodies_for_uploads_alone(sockets)
    return server


def _take_large_bodies_for_uploads_alone(sockets: dict[int, Any]) -> None:
    """Waitress collects a body before anybody is asked, so that of strangers at the open addresses has to be small."""
    from waitress.channel import HTTPChannel
    from waitress.parser import HTTPRequestParser
    from waitress.server import BaseWSGIServer

    servers = [each for each in sockets.values() if isinstance(each, BaseWSGIServer)]
    small = copy(servers[0].adj)
    small.max_request_body_size = LARGEST_BODY_BYTES + 1

    class Parser(HTTPRequestParser):  # type: ignore[misc]
        def parse_header(self, header_plus: bytes) -> None:
            super().parse_header(header_plus)
            if self.path != ADDRESS or not {"AUTHORIZATION", "COOKIE"} & set(self.headers):
                self.adj = small

    class Channel(HTTPChannel):  # type: ignore[misc]
        parser_class = Parser

    for each in servers:
        each.channel_class = Channel


def addresses(server: Any) -> list[str]:
    """Where a server listens, as URLs: a name like ``localhost`` may stand for several."""
    listening = getattr(server, "effective_listen", None) or [(server.effective_host, server.effective_port)]
    return [f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}" for host, port in listening]
