"""The server behind ``imagechord web``: waitress, of the extra ``web``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

from tasks.core.errors import ConfigurationError
from tasks.web.receiver import LARGEST_BODY_BYTES
from tasks.web.wsgi import Application

MostBytes = Callable[[str, Mapping[str, str]], int]
"""How long a body may be, by the path of its request and the headers, whose names are in lower case."""

_THREADS = 16
"""More than processors: on SQLite those that write at the same time share one wait for the disk."""

_LIMITS = {
    "max_request_header_size": 65_536,
    # A request is collected before it costs a thread: slow senders hold but sockets, and of these there are many.
    "connection_limit": 1000,
    "channel_timeout": 30,
    "asyncore_use_poll": True,  # select() ends at 1024 sockets
}


def _for_webhooks(_path: str, _headers: Mapping[str, str]) -> int:
    return LARGEST_BODY_BYTES


def open_server(application: Application, host: str, port: int, most_bytes: MostBytes = _for_webhooks) -> Any:
    """A waitress server that listens already; ``run()`` serves until KeyboardInterrupt, ``addresses`` tells its URLs.

    Port 0 takes a free one. A body that is too large is refused before it is collected. Raises ConfigurationError
    without waitress, or when it cannot listen there.
    """
    try:
        import waitress
    except ImportError as error:
        raise ConfigurationError("imagechord web needs waitress; install imagechord[web]") from error
    sockets: dict[int, Any] = {}
    try:
        server = waitress.create_server(
            application, map=sockets, host=host, port=port, threads=_THREADS, ident="imagechord", **_LIMITS
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {reason}; choose another --host or --port"
        ) from error
    for each in sockets.values():
        if hasattr(each, "channel_class"):  # one that listens
            each.channel_class = _channel_class(each.channel_class, most_bytes)
    return server


def _channel_class(channel: Any, most_bytes: MostBytes) -> Any:
    """Waitress's own class, with a cap that depends on the request: it has but one, for everybody."""

    class Parser(channel.parser_class):  # type: ignore[misc]
        adj: Any

        def parse_header(self, header_plus: bytes) -> None:
            super().parse_header(header_plus)
            headers = {name.replace("_", "-").lower(): value for name, value in self.headers.items()}
            self.adj = copy(self.adj)
            self.adj.max_request_body_size = most_bytes(self.path, headers) + 1

    return type("Channel", (channel,), {"parser_class": Parser})


def addresses(server: Any) -> list[str]:
    """Where a server listens, as URLs: a name like ``localhost`` may stand for several."""
    listening = getattr(server, "effective_listen", None) or [(server.effective_host, server.effective_port)]
    return [f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}" for host, port in listening]
