"""The base of the HTTP stand-ins: a threaded server that records every request and answers as it is told."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    """What came in. ``path`` is still quoted and has the query in it; ``port`` is the sender's."""

    method: str
    path: str
    headers: Message
    body: bytes = field(repr=False)
    port: int = 0

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What goes out, after ``delay_seconds``. ``disconnect`` closes the connection instead, without a word.

    ``drip_seconds`` sends the body byte by byte with that much time between.
    """

    status: int = 200
    body: bytes | str | dict[str, Any] | list[Any] = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    drip_seconds: float = 0.0
    disconnect: bool = False


class StandIn:
    """Subclasses implement :meth:`answer`. ``requests`` is every request so far, in the order of arrival."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.lock = threading.RLock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.stand_in = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens: ``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: Request) -> Reply:
        """Decide the reply. Called in a thread of the connection, one request at a time under ``lock``."""
        raise NotImplementedError

    def reply_to(self, request: Request) -> Reply:
        """Record, decide, and wait out the reply's delay (cut short when the stand-in closes)."""
        with self.lock:
            self.requests.append(request)
            reply = self.answer(request)
        self.pause(reply.delay_seconds)
        return reply

    def pause(self, seconds: float) -> None:
        """Let time pass, unless the stand-in closes first."""
        if seconds:
            self._closing.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    stand_in: StandIn

    def handle_error(self, *_: object) -> None:
        """Clients of these tests hang up on purpose; that is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # headers and body leave in one segment, or a delayed ACK costs 40 ms
    server: _Server

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""

    def handle_expect_100(self) -> bool:
        """Let the waiting client go on at once, in spite of the buffer."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        stand_in = self.server.stand_in
        reply = stand_in.reply_to(Request(self.command, self.path, self.headers, body, self.client_address[1]))
        if reply.disconnect:
            self.close_connection = True
            return
        content, content_type = _encoded(reply.body)
        self.send_response(reply.status)
        for name, value in {"Content-Type": content_type, **reply.headers}.items():
            self.send_header(name, value)
        if "Content-Length" not in reply.headers and reply.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if not reply.drip_seconds:
            self.wfile.write(content)
        for byte in content if reply.drip_seconds else b"":
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            stand_in.pause(reply.drip_seconds)


for _method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler.handle_any)


def _encoded(body: bytes | str | dict[str, Any] | list[Any]) -> tuple[bytes, str]:
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return json.dumps(body, ensure_ascii=False).encode(), "application/json"
