"""Fast stand-ins for the benchmark, all in one process on one loopback port: images, S3, CMS, Slack.

Run as ``python -m tests.bench.servers PORT``. The image server charges on its side and enforces a limit of its
own, a token bucket or a fixed window; everything else answers at once. ``GET /stats`` tells what was seen,
``POST /reset`` takes new settings.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from PIL import Image


@dataclass
class Limiter:
    """What the maker enforces: ``per_minute`` images, as a token bucket of one second's burst, or per clock minute."""

    per_minute: float = 0.0
    algorithm: str = "token_bucket"
    tokens: float = 0.0
    filled_at: float = 0.0
    window: int = 0
    used: int = 0

    def take(self, now: float) -> float:
        """0.0 for a granted call, else the seconds to wait."""
        if not self.per_minute:
            return 0.0
        if self.algorithm == "fixed_window":
            return self._take_from_window(now)
        per_second = self.per_minute / 60.0
        burst = max(1.0, per_second)
        self.tokens = min(burst, self.tokens + (now - self.filled_at) * per_second) if self.filled_at else burst
        self.filled_at = now
        if self.tokens >= 1.0:
            self.tokens -= 1.0
            return 0.0
        return (1.0 - self.tokens) / per_second

    def _take_from_window(self, now: float) -> float:
        window = int(now // 60)
        if window != self.window:
            self.window, self.used = window, 0
        if self.used < self.per_minute:
            self.used += 1
            return 0.0
        return 60.0 - now % 60


@dataclass
class World:
    """Settings and counters of one benchmark row."""

    picture: bytes = b""
    latency_seconds: float = 0.0
    limiter: Limiter = field(default_factory=Limiter)
    retry_after: bool = True
    charged: int = 0
    refused: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    charges_by_second: Counter[int] = field(default_factory=Counter)
    prompts: Counter[str] = field(default_factory=Counter)
    objects: int = 0
    patched: dict[str, str] = field(default_factory=dict)
    first_patched_at: float = 0.0
    last_patched_at: float = 0.0
    slack: list[tuple[float, str]] = field(default_factory=list)

    def stats(self) -> dict[str, Any]:
        """Everything the benchmark reads; times are seconds since the epoch."""
        return {
            "charged": self.charged,
            "charged_twice": sum(count - 1 for count in self.prompts.values() if count > 1),
            "refused": self.refused,
            "most_in_flight": self.most_in_flight,
            "charges_by_second": dict(self.charges_by_second),
            "objects": self.objects,
            "patched": len(self.patched),
            "first_patched_at": self.first_patched_at,
            "last_patched_at": self.last_patched_at,
            "slack": self.slack,
        }


def draw(side: int, kind: str) -> bytes:
    """A picture with some texture, so that its size and decoding cost are like a photograph's."""
    noise = Image.effect_noise((side, side), 40).convert("RGB")
    smooth = Image.radial_gradient("L").resize((side, side)).convert("RGB")
    buffer = io.BytesIO()
    Image.blend(noise, smooth, 0.8).save(buffer, kind, **({"quality": 88} if kind == "JPEG" else {}))
    return buffer.getvalue()


class Server:
    """HTTP/1.1 with keep-alive, just enough of it."""

    def __init__(self) -> None:
        self.world = World(picture=draw(64, "PNG"))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, *lines = head.decode("latin-1").split("\r\n")
                method, path, _version = line.split(" ", 2)
                headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
                if headers.get("expect"):
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status, extra, answer = await self.answer(method, path, body)
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(answer)}\r\n{extra}\r\n".encode() + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(  # noqa: PLR0911 one return per endpoint
        self, method: str, path: str, body: bytes
    ) -> tuple[int, str, bytes]:
        """Status, extra header lines, body."""
        if path == "/images":
            return await self._image(json.loads(body))
        if path.startswith("/cms/"):
            return self._patch(path, json.loads(body))
        if path == "/slack":
            self.world.slack.append((time.time(), json.loads(body)["text"]))
            return 200, "", b"ok"
        if path == "/stats":
            return 200, "", json.dumps(self.world.stats()).encode()
        if path == "/reset":
            self._reset(json.loads(body))
            return 200, "", b"ok"
        if method == "PUT":
            self.world.objects += 1
            return 200, f'ETag: "{hashlib.md5(body).hexdigest()}"\r\n', b""
        return 404, "", b""

    async def _image(self, request: dict[str, Any]) -> tuple[int, str, bytes]:
        world = self.world
        wait = world.limiter.take(time.time())
        if wait:
            world.refused += 1
            return 429, f"Retry-After: {wait:.3f}\r\n" if world.retry_after else "", b"{}"
        world.charged += 1
        world.prompts[request["prompt"]] += 1
        world.charges_by_second[int(time.time())] += 1
        world.in_flight += 1
        world.most_in_flight = max(world.most_in_flight, world.in_flight)
        if world.latency_seconds:
            await asyncio.sleep(world.latency_seconds)
        world.in_flight -= 1
        return 200, "Content-Type: image/png\r\n", world.picture

    def _patch(self, path: str, body: dict[str, str]) -> tuple[int, str, bytes]:
        now = time.time()
        self.world.first_patched_at = self.world.first_patched_at or now
        self.world.last_patched_at = now
        self.world.patched[path] = body["image_url"]
        return 200, "Content-Type: application/json\r\n", json.dumps(body).encode()

    def _reset(self, settings: dict[str, Any]) -> None:
        picture = draw(int(settings.get("side", 64)), settings.get("kind", "PNG"))
        limiter = Limiter(float(settings.get("per_minute", 0.0)), settings.get("algorithm", "token_bucket"))
        self.world = World(
            picture=picture,
            latency_seconds=float(settings.get("latency_seconds", 0.0)),
            limiter=limiter,
            retry_after=bool(settings.get("retry_after", True)),
        )


async def main(port: int) -> None:
    """Serve until killed; prints the port when ready."""
    server = await asyncio.start_server(Server().serve, "127.0.0.1", port, limit=1 << 24, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
