"""Fast stand-ins for the benchmark, all in one process on one loopback port: images, S3, CMS, Slack.

Run as ``python -m tests.bench.servers PORT``. They share the cores with what is measured, so they do as little as
they can: no streams, no task for a request, bodies of pictures are counted and dropped. ``GET /progress`` and
``GET /stats`` tell what was seen, ``POST /reset`` takes new settings: see :mod:`tests.bench.world`.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from tests.bench.world import World, new_world

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect: *100", re.IGNORECASE)
_STORED = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def answer(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    """A whole HTTP answer. ``more`` are further header lines, each with its line end."""
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), more, body)


class FarEnds:
    """What the connections share."""

    def __init__(self) -> None:
        self.world: World = new_world({})


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, just enough of it: one request at a time, bodies with a length."""

    def __init__(self, ends: FarEnds) -> None:
        self.ends = ends
        self.received = bytearray()
        self.to_skip = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """A piece of a request: of a body that is dropped, or to be parsed."""
        if self.to_skip:
            skipped = min(self.to_skip, len(data))
            self.to_skip -= skipped
            if self.to_skip == 0:
                self._store()
            data = data[skipped:]
        if data:
            self.received += data
            self._parse()

    def _parse(self) -> None:
        end = self.received.find(_HEAD_END)
        if end < 0:
            return
        length = _LENGTH.search(self.received, 0, end)
        first, last = end + len(_HEAD_END), end + len(_HEAD_END) + int(length[1] if length else 0)
        complete = len(self.received) >= last
        if not complete and _EXPECT.search(self.received, 0, end):
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        method, path, _rest = bytes(self.received[: self.received.find(b"\r")]).split(b" ", 2)
        if method == b"PUT":
            self.to_skip = max(0, last - len(self.received))
            del self.received[:last]
            if complete:
                self._store()
        elif complete:
            body = bytes(self.received[first:last])
            del self.received[:last]
            self._handle(path, body)

    def _store(self) -> None:
        self.ends.world.objects += 1
        self.transport.write(_STORED)

    def _handle(self, path: bytes, body: bytes) -> None:
        world, write = self.ends.world, self.transport.write
        if path == b"/images":
            self._draw(json.loads(body)["prompt"])
        elif path.startswith(b"/jobs?"):
            self._take_on(json.loads(body)["prompt"], urlsplit(parse_qs(path.decode())["/jobs?webhook"][0]))
        elif path == b"/picture":
            write(answer(world.picture, more=b"Content-Type: image/png\r\n"))
        elif path.startswith(b"/cms/"):
            world.patch(path.rpartition(b"/")[2].decode())
            write(answer(body, more=b"Content-Type: application/json\r\n"))
        elif path == b"/slack":
            world.told()
            write(answer(b"ok"))
        elif path in {b"/progress", b"/stats"}:
            write(answer(json.dumps(world.stats() if path == b"/stats" else world.progress()).encode()))
        elif path == b"/reset":
            self.ends.world = new_world(json.loads(body))
            write(answer(b"ok"))
        else:
            write(answer(b"", b"404 Not Found"))

    def _draw(self, prompt: str) -> None:
        world = self.ends.world
        wait = world.charge(prompt)
        if wait:
            self.transport.write(answer(b"{}", b"429 Too Many Requests", b"Retry-After: %.3f\r\n" % wait))
        elif world.latency_seconds:
            asyncio.get_running_loop().call_later(world.latency_seconds, self._hand_over, world)
        else:
            self._hand_over(world)

    def _take_on(self, prompt: str, webhook: SplitResult) -> None:
        """Answer at once, and call when the picture is ready."""
        loop, world = asyncio.get_running_loop(), self.ends.world
        world.charge(prompt)
        self.transport.write(answer(b"{}"))
        loop.call_later(world.latency_seconds, lambda: world.calls.append(loop.create_task(_call(world, webhook))))

    def _hand_over(self, world: World) -> None:
        world.in_flight -= 1
        if not self.transport.is_closing():
            self.transport.write(answer(world.picture, more=b"Content-Type: image/png\r\n"))


async def _call(world: World, webhook: SplitResult) -> None:
    """One webhook, on a connection of its own, some at a time."""
    async with world.callers:
        world.in_flight -= 1
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection(webhook.hostname, webhook.port)
        head = f"POST {webhook.path} HTTP/1.1\r\nHost: bench\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + b"{}")
        status = (await reader.readline()).split()[1:2]
        world.answered_ms.append((time.perf_counter() - began) * 1000 if status == [b"200"] else 60_000.0)
        writer.close()


async def main(port: int) -> None:
    """Serve until killed; prints the port when ready."""
    ends = FarEnds()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(ends), "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
