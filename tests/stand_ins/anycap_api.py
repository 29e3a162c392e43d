"""A stand-in for AnyCap's server on loopback: what the real CLI 0.6.2 talks to in the tests.

It keeps its own books: every paid request is in :attr:`AnycapApi.charges`, whatever the client came to know of it.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from PIL import Image

_CREDITS_PER_IMAGE = 3


class Fault(Enum):
    """What goes wrong with one generate call.

    Those named ``…_PLAINLY`` come with a body that the CLI does not take apart: it then reports ``http_<status>``
    instead of the server's own code. From DROP_AFTER_CHARGE on, but for SUCCESS_WITH_ERROR and NOT_JSON, the call
    is charged.
    """

    RATE_LIMITED = auto()
    RATE_LIMITED_PLAINLY = auto()
    SERVER_ERROR = auto()
    SERVER_ERROR_PLAINLY = auto()
    UNAVAILABLE = auto()
    OVERLOADED = auto()
    GATEWAY_TIMEOUT = auto()
    CONTENT_REJECTED = auto()
    CONTENT_REJECTED_PLAINLY = auto()
    INVALID_PARAM = auto()
    ECHO = auto()
    UNKNOWN_MODEL = auto()
    BAD_KEY = auto()
    NO_CREDIT = auto()
    DROP_BEFORE_CHARGE = auto()
    DROP_AFTER_CHARGE = auto()
    HANG_AFTER_CHARGE = auto()
    SUCCESS_WITH_ERROR = auto()
    NOT_JSON = auto()
    NO_OUTPUTS = auto()
    DOWNLOAD_REFUSED = auto()
    DOWNLOAD_DROPPED = auto()
    JSON_AS_IMAGE = auto()
    TRUNCATED_IMAGE = auto()
    TRUNCATED_ONCE = auto()


def _error(code: str, message: str) -> dict[str, Any]:
    return {"status": "error", "error": {"code": code, "message": message}, "request_id": "req_fault"}


_UNCHARGED_ANSWERS: dict[Fault, tuple[int, dict[str, Any] | str]] = {
    Fault.RATE_LIMITED: (429, _error("RATE_LIMITED", "too many requests")),
    Fault.RATE_LIMITED_PLAINLY: (429, "slow down"),
    Fault.SERVER_ERROR: (500, _error("INTERNAL", "internal error")),
    Fault.SERVER_ERROR_PLAINLY: (500, "<html>Internal Server Error</html>"),
    Fault.UNAVAILABLE: (503, _error("UNAVAILABLE", "try later")),
    Fault.OVERLOADED: (529, _error("OVERLOADED", "overloaded")),
    Fault.GATEWAY_TIMEOUT: (504, _error("TIMEOUT", "upstream timed out")),
    Fault.CONTENT_REJECTED: (400, _error("CONTENT_REJECTED", "the prompt breaks the content policy")),
    Fault.CONTENT_REJECTED_PLAINLY: (400, {"error": "CONTENT_REJECTED", "message": "no"}),
    Fault.INVALID_PARAM: (400, _error("invalid_param", "aspect_ratio is not one of 1:1, 16:9")),
    Fault.UNKNOWN_MODEL: (404, _error("MODEL_NOT_FOUND", "no such model")),
    Fault.BAD_KEY: (401, _error("auth_invalid", "bad key")),
    Fault.NO_CREDIT: (402, _error("INSUFFICIENT_CREDIT", "no credit left")),
    Fault.SUCCESS_WITH_ERROR: (200, {"error": {"code": "GENERATION_FAILED", "message": "something broke"}}),
    Fault.NOT_JSON: (200, "<html>Welcome to our wireless network</html>"),
}


_IMAGES = {"type": "array", "items": {"type": "string", "format": "file-or-url"}}
_SCHEMA = {
    "schemas": [
        {"operation": "generate", "mode": mode, "schema": {"model_params": parameters}}
        for mode, parameters in (("text-to-image", {}), ("image-to-image", {"images": _IMAGES}))
    ]
}
"""By its format the CLI knows which parameter may name a local file."""


@dataclass(frozen=True, slots=True)
class Call:
    """One POST to ``/v1/image/generate``. ``number`` counts the calls with this prompt, from 1."""

    prompt: str
    number: int
    model: str
    parameters: dict[str, Any]
    fault: Fault | None


FaultFor = Callable[[str, int], Fault | None]


def colour_of(prompt: str) -> tuple[int, int, int]:
    """The colour in which the stand-in paints this prompt: 24 bits of its SHA-256."""
    digest = hashlib.sha256(prompt.encode()).digest()
    return digest[0], digest[1], digest[2]


@lru_cache(maxsize=512)
def paint(prompt: str, width: int, height: int) -> bytes:
    """The PNG that stands for this prompt: one colour all over, so that it survives cropping and resizing."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour_of(prompt)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def depicts(data: bytes, prompt: str, tolerance: int = 4) -> bool:
    """Whether these bytes are the picture of this prompt, resized and re-encoded or not."""
    with Image.open(io.BytesIO(data)) as image:
        centre = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    assert isinstance(centre, tuple)
    return all(abs(seen - meant) <= tolerance for seen, meant in zip(centre, colour_of(prompt), strict=True))


@dataclass(slots=True)
class AnycapApi:
    """The server; use it as a context manager.

    ``fault_for(prompt, nth_call)`` decides what goes wrong; it is called once for each generate call, from many
    threads. ``faults_of`` are those of all calls of a model, by its name. ``charges`` are the calls that cost money,
    ``calls`` all of them, in the order of their arrival.
    """

    fault_for: FaultFor = lambda _prompt, _number: None
    faults_of: dict[str, Fault] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    charges: list[Call] = field(default_factory=list)
    telemetry: list[bytes] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    """The local pictures that the client has uploaded, by the URL under which a call names them."""
    refuses_uploads: bool = False
    released: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: Counter[str] = field(default_factory=Counter)
    _outputs: dict[str, tuple[Call, bytes]] = field(default_factory=dict)
    _fetched: Counter[str] = field(default_factory=Counter)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        api = self

        class Handler(_Handler):
            books: AnycapApi = api

        self._server = _Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        """Base URL, for ``ANYCAP_API_ENDPOINT``."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_port}"

    def charges_for(self, prompt: str) -> int:
        """How often this prompt was paid for."""
        with self._lock:
            return sum(charge.prompt == prompt for charge in self.charges)

    def record(self, body: dict[str, Any]) -> Call:
        """Note one generate call and decide its fault."""
        prompt = str(body.pop("prompt", ""))
        model = str(body.pop("model", ""))
        with self._lock:
            self._seen[prompt] += 1
            number = self._seen[prompt]
        call = Call(prompt, number, model, body, self.faults_of.get(model) or self.fault_for(prompt, number))
        with self._lock:
            self.calls.append(call)
        return call

    def charge(self, call: Call) -> str:
        """Take the money and return the path at which the picture can be fetched."""
        width, height = _pixels(call.parameters)
        with self._lock:
            self.charges.append(call)
            path = f"/files/{len(self.charges)}.png"
            self._outputs[path] = (call, paint(call.prompt, width, height))
        return path

    def first(self, path: str) -> bool:
        """Whether this path is asked for the first time; asking makes it so no more."""
        with self._lock:
            self._fetched[path] += 1
            return self._fetched[path] == 1

    def output(self, path: str) -> tuple[Call, bytes] | None:
        """The call and the picture behind a path."""
        with self._lock:
            return self._outputs.get(path)


def _pixels(parameters: dict[str, Any]) -> tuple[int, int]:
    """Nano Banana's way: a resolution class and an aspect ratio give about the same area for every ratio."""
    if "size" in parameters:
        width, height = str(parameters["size"]).split("x")
        return int(width), int(height)
    side = {"512": 512, "1k": 1024, "2k": 2048, "4k": 4096}[str(parameters.get("resolution", "1k")).lower()]
    across, down = (int(part) for part in str(parameters.get("aspect_ratio", "1:1")).split(":"))
    return round(side * (across / down) ** 0.5 / 16) * 16, round(side * (down / across) ** 0.5 / 16) * 16


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed in the middle are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    books: AnycapApi
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/files/"):
            self._send_picture(path)
        elif path.endswith("/schema"):
            self._send_json(200, _SCHEMA)
        else:
            self._send_json(200, {"status": "success", "data": {}, "request_id": "req_other"})

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.books.refuses_uploads:
            self._send_json(403, {})
            return
        self.books.uploads[f"{self.books.endpoint}{self.path}"] = data
        self._send_json(200, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/v1/capabilities/presign":
            url = f"{self.books.endpoint}/uploads/{json.loads(body)['sha256']}"
            self._send_json(200, {"status": "success", "data": {"upload_url": url, "object_url": url}})
            return
        if self.path != "/v1/image/generate":
            self.books.telemetry.append(body)
            self._send_json(202, {"status": "success"})
            return
        self._generate(json.loads(body))

    def _generate(self, body: dict[str, Any]) -> None:
        if not (self.headers.get("Authorization") or "").startswith("Bearer "):
            self._send_json(*_UNCHARGED_ANSWERS[Fault.BAD_KEY])
            return
        call = self.books.record(body)
        if call.fault is Fault.ECHO:  # a gateway that shows what it was sent, for debugging
            self._send_json(400, _error("invalid_param", f"bad request: {dict(self.headers)}"))
            return
        if call.fault in _UNCHARGED_ANSWERS:
            self._send_json(*_UNCHARGED_ANSWERS[call.fault])
            return
        if call.fault is Fault.DROP_BEFORE_CHARGE:
            self._drop()
            return
        path = self.books.charge(call)
        if call.fault is Fault.HANG_AFTER_CHARGE:
            self.books.released.wait()
        if call.fault in (Fault.DROP_AFTER_CHARGE, Fault.HANG_AFTER_CHARGE):
            self._drop()
            return
        outputs = [] if call.fault is Fault.NO_OUTPUTS else [{"url": f"{self.books.endpoint}{path}"}]
        data = {"outputs": outputs, "model": call.model, "credit_cost": _CREDITS_PER_IMAGE}
        self._send_json(200, {"status": "success", "data": data, "request_id": f"req_{path[7:-4]}"})

    def _send_picture(self, path: str) -> None:
        found = self.books.output(path)
        if not found or found[0].fault is Fault.DOWNLOAD_REFUSED:
            self._send_json(403, _error("EXPIRED", "the link has expired"))
            return
        call, data = found
        if call.fault is Fault.DOWNLOAD_DROPPED:
            self._send(200, "image/png", data, promised=len(data) + 1000)
            self._drop()
        elif call.fault is Fault.JSON_AS_IMAGE:
            self._send_json(200, _error("STORAGE", "the file is not there"))
        elif call.fault is Fault.TRUNCATED_IMAGE or (call.fault is Fault.TRUNCATED_ONCE and self.books.first(path)):
            self._send(200, "image/png", data[: len(data) // 2])
        else:
            self._send(200, "image/png", data)

    def _send_json(self, status: int, body: dict[str, Any] | str) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self._send(status, "application/json", text.encode())

    def _send(self, status: int, content_type: str, data: bytes, promised: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(promised or len(data)))
        if status == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.close()
