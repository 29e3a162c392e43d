"""A TCP proxy that plays a bad network: resets, refused connections, silence; and TLS in front of a plain server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from tests.stand_ins.ports import free_ports

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_BLOCK_BYTES = 1 << 16

_T = TypeVar("_T")

Upstream = tuple[str, int] | str | os.PathLike[str]
"""A host and a port, or the path of a unix socket."""


class FaultProxy:
    """Listens on 127.0.0.1 at ``port`` while entered. Use it from any thread; what is done is done on return.

    ``tls`` makes the listening side speak TLS.
    """

    def __init__(self, upstream: Upstream, tls: ssl.SSLContext | None = None) -> None:
        self.upstream = upstream
        (self.port,) = free_ports(1)
        self._tls = tls
        self._clients: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._flowing.set()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reset(self) -> int:
        """Cut every connection with RST; new ones are welcome. Returns how many there were."""
        return self._do(self._reset())

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Within the block nobody listens, and connections that were open are cut."""
        self._do(self._refuse())
        try:
            yield
        finally:
            self._do(self._listen())

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Within the block connections stay open, new ones are taken, and not a byte passes."""
        self._loop.call_soon_threadsafe(self._flowing.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._flowing.set)

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)

    async def _refuse(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._reset()

    async def _reset(self) -> int:
        cut = list(self._clients)
        for client in cut:
            with contextlib.suppress(OSError):  # closed already
                client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            client.transport.abort()
        return len(cut)

    async def _close(self) -> None:
        await self._refuse()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for _ in range(3):  # transports close in the loop's next rounds
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            upstream_reader, upstream_writer = await self._connect()
            with contextlib.closing(upstream_writer):
                ways = [self._pump(reader, upstream_writer), self._pump(upstream_reader, writer)]
                await asyncio.gather(*ways)
        except OSError:
            pass  # either side has gone: so has the other then
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.upstream, tuple):
            return await asyncio.open_connection(*self.upstream)
        return await asyncio.open_unix_connection(self.upstream)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Pass on what comes until it ends; then end the other side too."""
        try:
            while block := await source.read(_BLOCK_BYTES):
                await self._flowing.wait()
                target.write(block)
                await target.drain()
        finally:
            target.close()
