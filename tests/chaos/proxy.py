"""A TCP proxy before the broker, which can cut every connection, refuse new ones, and fall silent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from pathlib import Path
from typing import Self

_NO_LINGER = struct.pack("ii", 1, 0)
_PIECE_BYTES = 1 << 16


class BrokerProxy:
    """Listens on a port of loopback and passes bytes to and from a unix socket, in a thread of its own."""

    def __init__(self, upstream: Path) -> None:
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="broker-proxy", daemon=True)
        self._clients: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._port = 0
        self.cut = 0

    @property
    def url(self) -> str:
        """Where the workers find the broker."""
        return f"redis://127.0.0.1:{self._port}/0"

    def __enter__(self) -> Self:
        self._flowing.set()
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._shut())
        self._do(_end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reset(self) -> None:
        """Cut every connection, in the middle of whatever it carries."""
        self._do(self._cut_all())

    def refuse(self, seconds: float) -> None:
        """Cut every connection and refuse new ones for a while; returns at once."""
        self._do(self._shut())
        self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._reopen)

    def fall_silent(self, seconds: float) -> None:
        """Keep every connection, and let no byte through for a while; returns at once."""
        self._loop.call_soon_threadsafe(self._flowing.clear)
        self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._flowing.set)

    def _do(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)  # type: ignore[arg-type]

    def _reopen(self) -> None:
        self._opening = self._loop.create_task(self._listen())

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut_all()

    async def _cut_all(self) -> None:
        for client in list(self._clients):
            self._cut(client)
        await asyncio.sleep(0)

    def _cut(self, client: asyncio.StreamWriter) -> None:
        self.cut += 1
        with contextlib.suppress(OSError):
            client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        client.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self._clients.add(client)
        try:
            broker_reader, broker = await asyncio.open_unix_connection(str(self._upstream))
        except OSError:
            self._cut(client)
        else:
            await asyncio.gather(self._pass_on(reader, broker), self._pass_on(broker_reader, client))
        finally:
            self._clients.discard(client)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE_BYTES):
                await self._flowing.wait()
                writer.write(piece)
                await writer.drain()
        writer.close()


async def _end_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        each.cancel()
    await asyncio.gather(*others, return_exceptions=True)
